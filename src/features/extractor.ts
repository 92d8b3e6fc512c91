// Features of images by a third-party ONNX network, and the Frechet distance between them.
import { basename } from 'node:path';
import { ForeignLimit, openForeignModel } from '../engine/foreign.js';
import type { ForeignModel } from '../engine/foreign.js';
import type { Port } from '../engine/runtime.js';
import { EngineError, InputError, TesseraeError, UsageError, firstLineOf } from '../errors.js';
import { excerpt } from '../names.js';
import { readFile } from '../files/read.js';
import { sha256 } from '../hash.js';
import type { Image } from '../interfaces/index.js';
import { fromFloat32, withChannels } from '../media/image/pixels.js';
import { resizeImage } from '../media/image/fit.js';
import { FeatureMeter, frechetDistance } from '../metrics/frechet.js';
import { DEFAULT_SCALING, pixelScale } from './scaling.js';
import type { FeatureScaling, PixelScale } from './scaling.js';

export interface FeatureOptions {
  /** The pixel values that the network was trained on. Default `imagenet`. */
  scaling?: FeatureScaling;
  /** Name of the output. Default: the first one. */
  output?: string;
}

/** The features that a distance was measured in. Distances in other features are not comparable. */
export interface FeatureSource {
  /** Name of the file. */
  network: string;
  /** sha256 of the file, hex. */
  sha256: string;
  output: string;
  scaling: FeatureScaling;
}

/** Number of images in a batch, for networks that take any number. */
const ROWS = 16;

/** A network from images [B, 3, H, W] to features [B, D], or to maps [B, D, h, w], which are averaged over their positions. */
export class FeatureExtractor {
  private constructor(
    readonly source: FeatureSource,
    private readonly path: string,
    private readonly model: ForeignModel,
    private readonly pixels: PixelScale,
  ) {}

  /**
   * @throws {UsageError} E_NOT_FOUND; E_FEATURES for an unknown scaling or output, or a network that does not take images.
   * @throws {InputError} E_FEATURES_FILE for a file that is not an ONNX network, E_ONNX_LOOP, E_FEATURES_LIMIT for one that needs too much memory or time.
   */
  static async open(path: string, options: FeatureOptions = {}): Promise<FeatureExtractor> {
    const { scaling = DEFAULT_SCALING } = options;
    const pixels = pixelScale(scaling);
    const bytes = readFile(path);
    const model = await openForeignModel(bytes, path).catch((error: unknown) => {
      if (error instanceof ForeignLimit) throw limitError(path, error);
      if (error instanceof InputError || error instanceof EngineError) throw error;
      throw new InputError(
        'E_FEATURES_FILE',
        `${path}: expected an ONNX network, weights inside, found what cannot be read (${excerpt(error instanceof TesseraeError ? error.detail : firstLineOf(error), 200)}).`,
        { cause: error },
      );
    });
    try {
      const output = checkedOutput(path, model, options.output);
      return new FeatureExtractor(
        { network: basename(path), sha256: sha256(bytes), output, scaling },
        path,
        model,
        pixels,
      );
    } catch (error) {
      await model.release();
      throw error;
    }
  }

  /**
   * @param images of one size. They are resized if the network has a size of its own.
   * @returns one vector for each image.
   * @throws {UsageError} E_FEATURES when the output gives no features.
   * @throws {InputError} E_FEATURES when the network fails on such images, E_FEATURES_LIMIT when it takes too long or too much memory.
   */
  async features(images: readonly Image[]): Promise<Float32Array[]> {
    const [batch, , height, width] = this.model.inputs[0]!.shape;
    const rows = fixed(batch) ?? ROWS;
    const vectors: Float32Array[] = [];
    for (let first = 0; first < images.length; first += rows) {
      const group = images.slice(first, first + rows);
      const size = { height: fixed(height) ?? group[0]!.height, width: fixed(width) ?? group[0]!.width };
      const fitted = await Promise.all(
        group.map((image) => resizeImage(image, { ...size, resize: 'fill', kernel: 'cubic' })),
      );
      // A fixed batch is filled up with the last image, whose repeats are not counted.
      const filled = Array.from(
        { length: fixed(batch) ?? group.length },
        (_, i) => fitted[Math.min(i, fitted.length - 1)]!,
      );
      vectors.push(...(await this.run(filled, size)).slice(0, group.length));
    }
    return vectors;
  }

  async dispose(): Promise<void> {
    await this.model.release();
  }

  private async run(
    images: readonly Image[],
    { height, width }: { height: number; width: number },
  ): Promise<Float32Array[]> {
    const shape = [images.length, 3, height, width];
    const { data, shape: given } = await this.model
      .run(planes(images, this.pixels), shape, this.source.output)
      .catch((error: unknown) => {
        if (error instanceof ForeignLimit) throw limitError(this.path, error);
        throw new InputError(
          'E_FEATURES',
          `${this.path}: expected to run on images [${shape.join(', ')}], refused by ONNX Runtime (${excerpt(firstLineOf(error), 200)}).`,
          { cause: error },
        );
      });
    const [rows, dimension = 0, ...places] = given;
    if (
      !(data instanceof Float32Array) ||
      rows !== images.length ||
      dimension === 0 ||
      (places.length !== 0 && places.length !== 2)
    ) {
      throw new UsageError(
        'E_FEATURES',
        `${this.path}: expected float32 features [${images.length}, D] or [${images.length}, D, h, w] from "${this.source.output}", received [${given.slice(0, 8).join(', ')}${given.length > 8 ? ', ...' : ''}]. Name another output.`,
      );
    }
    const size = data.length / rows;
    return images.map((_, i) => meanOverPlaces(data.subarray(i * size, (i + 1) * size), dimension));
  }
}

function limitError(path: string, limit: ForeignLimit): InputError {
  return new InputError(
    'E_FEATURES_LIMIT',
    `${path}: expected a network that computes features with time and memory in proportion, but ${limit.message}. Use another network.`,
    { cause: limit },
  );
}

/** The Frechet distance of the features of originals and reconstructions. */
export class FrechetMeter {
  private meters: { originals: FeatureMeter; reconstructions: FeatureMeter } | undefined;

  constructor(private readonly network: FeatureExtractor) {}

  /**
   * Adds a batch. Images are clipped to [-1, 1] and rounded to 256 levels, as they would be stored.
   *
   * @param originals float32 [B, H, W, C] in [-1, 1]; `reconstructions` likewise, of any range.
   */
  async add(
    originals: Float32Array,
    reconstructions: Float32Array,
    shape: readonly [number, number, number, number],
  ): Promise<void> {
    if (shape[0] === 0) return;
    const [before, after] = [
      await this.network.features(fromFloat32(originals, shape)),
      await this.network.features(fromFloat32(reconstructions, shape)),
    ];
    const dimension = before[0]!.length;
    this.meters ??= { originals: new FeatureMeter(dimension), reconstructions: new FeatureMeter(dimension) };
    for (const vector of before) this.meters.originals.add(vector);
    for (const vector of after) this.meters.reconstructions.add(vector);
  }

  /** @throws {UsageError} E_METRIC_EMPTY for fewer than two images. */
  result(): { rfid: number; features: FeatureSource & { dimension: number } } {
    const { originals, reconstructions } = this.meters ?? {
      originals: new FeatureMeter(0),
      reconstructions: new FeatureMeter(0),
    };
    return {
      rfid: frechetDistance(originals.result(), reconstructions.result()),
      features: { ...this.network.source, dimension: originals.dimension },
    };
  }
}

/** Checks the network's inputs. @returns the name of the output. */
function checkedOutput(path: string, { inputs, outputs }: ForeignModel, wanted: string | undefined): string {
  const [input] = inputs;
  const takesImages =
    inputs.length === 1 &&
    input!.dtype === 'float32' &&
    input!.shape.length === 4 &&
    (fixed(input!.shape[1]) ?? 3) === 3;
  if (!takesImages)
    throw new UsageError(
      'E_FEATURES',
      `${path}: expected one input, float32 [B, 3, H, W], found ${inputs.slice(0, 10).map(portText).join(' and ') || 'none'}. Export the network so.`,
    );
  const output = wanted === undefined ? outputs[0]?.name : outputs.find(({ name }) => name === wanted)?.name;
  if (output === undefined)
    throw new UsageError(
      'E_FEATURES',
      `${path}: expected an output "${excerpt(wanted ?? '')}", found ${
        outputs
          .slice(0, 10)
          .map(({ name }) => `"${excerpt(name, 40)}"`)
          .join(', ') || 'none'
      }.`,
    );
  return output;
}

const portText = ({ name, dtype, shape }: Port): string => `"${excerpt(name, 40)}" ${dtype} [${shape.join(', ')}]`;

/** An extent, if it is fixed. */
const fixed = (extent: number | string | undefined): number | undefined =>
  typeof extent === 'number' && extent > 0 ? extent : undefined;

/** float32 [B, 3, H, W], scaled; gray is repeated. */
function planes(images: readonly Image[], { scale, shift }: PixelScale): Float32Array {
  const area = images[0]!.width * images[0]!.height;
  const data = new Float32Array(images.length * 3 * area);
  images.forEach((image, i) => {
    const { pixels } = withChannels(image, 3);
    for (let c = 0; c < 3; c++) {
      const plane = data.subarray((i * 3 + c) * area, (i * 3 + c + 1) * area);
      for (let at = 0; at < area; at++) plane[at] = (pixels[at * 3 + c]! / 127.5 - 1) * scale[c]! + shift[c]!;
    }
  });
  return data;
}

/** float32 [D, places] -> [D]. */
function meanOverPlaces(values: Float32Array, dimension: number): Float32Array {
  const places = values.length / dimension;
  return Float32Array.from(
    { length: dimension },
    (_, i) => values.subarray(i * places, (i + 1) * places).reduce((sum, value) => sum + value, 0) / places,
  );
}
