// Turns a codec's two traced functions into a Tokenizer of pictures: batches, resizing or tiles, tokens in and out.
import { CorruptError, InputError, UsageError } from '../src/errors.js';
import { compile, hostValues, tf } from '../src/engine/index.js';
import type { Image, ImageInput, MediaInfo, TokenMapSpec, Tokenizer, Tokens } from '../src/interfaces/index.js';
import { checkTokens, codeCount, idsShape, specOf, toIds } from '../src/interfaces/index.js';
import { checkImage, checkImageInfo, checkImages } from '../src/media/check.js';
import { fromFloat32, toFloat32, withChannels } from '../src/media/pixels.js';
import { batches, encodePictures, MAX_ROWS } from '../src/media/picture-tokens.js';
import { windowOf } from '../src/media/window.js';
import { disposeParams } from '../src/nn/params.js';
import type { Params } from '../src/nn/params.js';
import { sameShape } from '../src/shape.js';
import { copyBlock, innerBlock, TILE, tilesOf, tilingOf, windowBlock } from './tiles.js';
import type { Grid, Tile, Tiling } from './tiles.js';

export interface ImageCodecParts {
  name: string;
  fingerprint: string;
  input: ImageInput;
  maps: TokenMapSpec[];
  /** Owned by the codec from here on. */
  params: Params;
  /** float32 [B, H, W, C] -> int32 [B, ..shape] for each map. */
  encode: (p: Params, images: tf.Tensor4D) => tf.Tensor[];
  /** int32 [B, ..shape] for each map -> float32 [B, H, W, C]. */
  decode: (p: Params, maps: tf.Tensor[]) => tf.Tensor4D;
  /** For codecs whose pictures keep their size; see `AnySize`. */
  anySize?: {
    multiple: number;
    maps: (height: number, width: number) => TokenMapSpec[];
    reach: number | undefined;
  };
  /** Side of the tiles that larger pictures are cut into, in pixels. Default {@link TILE}. */
  tile?: number;
}

/** Pixels up to which a codec that cannot work in tiles takes a picture in one pass. */
const ONE_PASS = 1024 * 1024;

/** A codec over pictures. Weights are embedded in its graphs: they are taken to be final. */
export class ImageCodec implements Tokenizer<Image> {
  readonly kind = 'image';
  readonly name: string;
  readonly fingerprint: string;
  private readonly encoder;
  private readonly decoder;

  /** @throws {UsageError} E_CONFIG for `resize: 'none'` with a codec that takes one size only. */
  constructor(private readonly parts: ImageCodecParts) {
    this.name = parts.name;
    this.fingerprint = parts.fingerprint;
    if (parts.input.resize === 'none' && !parts.anySize)
      throw new UsageError(
        'E_CONFIG',
        `${parts.name}: expected resize cover, contain or fill, received none. This codec takes pictures of one size.`,
      );
    this.encoder = compile((images: tf.Tensor4D) => parts.encode(parts.params, images), {
      name: `${parts.name}_encode`,
      freeze: true,
    });
    this.decoder = compile((maps: tf.Tensor[]) => parts.decode(parts.params, maps), {
      name: `${parts.name}_decode`,
      freeze: true,
    });
  }

  maps(media?: MediaInfo): TokenMapSpec[] {
    const ofSize =
      media && this.anySize ? this.anySize.maps(...this.padded(checkImageInfo('maps(media)', media))) : this.parts.maps;
    return ofSize.map(specOf);
  }

  encode(media: Image): Promise<Tokens>;
  encode(media: readonly Image[]): Promise<Tokens[]>;
  async encode(media: Image | readonly Image[]): Promise<Tokens | Tokens[]> {
    if (!Array.isArray(media)) {
      checkImage('encode', media as Image);
      return (await this.encodeAll([media as Image]))[0]!;
    }
    checkImages('encode', media);
    return this.encodeAll(media);
  }

  decode(tokens: Tokens): Promise<Image>;
  decode(tokens: readonly Tokens[]): Promise<Image[]>;
  async decode(tokens: Tokens | readonly Tokens[]): Promise<Image | Image[]> {
    if (!Array.isArray(tokens)) return (await this.decodeAll([tokens as Tokens]))[0]!;
    return this.decodeAll(tokens as readonly Tokens[]);
  }

  dispose(): void {
    void this.encoder.dispose();
    void this.decoder.dispose();
    disposeParams(this.parts.params);
  }

  /** What makes any size possible, unless pictures are resized. */
  private get anySize(): ImageCodecParts['anySize'] {
    return this.parts.input.resize === 'none' ? this.parts.anySize : undefined;
  }

  private encodeAll(images: readonly Image[]): Promise<Tokens[]> {
    if (this.anySize) return this.encodeTiles(images);
    const { height, width, channels } = this.parts.input;
    return encodePictures(this.parts, images, (pixels, rows) =>
      this.runEncoder(pixels, [rows, height, width, channels]),
    );
  }

  private async runEncoder(pixels: Float32Array, shape: [number, number, number, number]): Promise<Int32Array[]> {
    const batch = tf.tensor4d(pixels, shape);
    const ids = await this.encoder(batch);
    batch.dispose();
    return ids.map((map) => take(map) as Int32Array);
  }

  /** Encodes pictures at their own sizes, tile by tile: memory grows with the tile, not with the picture. */
  private async encodeTiles(images: readonly Image[]): Promise<Tokens[]> {
    const { channels } = this.parts.input;
    const sizes = images.map((image) => this.padded(image));
    const ids = sizes.map((size) =>
      this.anySize!.maps(...size).map((map) => ({ ...map, values: new Int32Array(codeCount(map)) })),
    );
    for (const { height, width, jobs, rows } of this.jobs(sizes)) {
      const windows = jobs.map(({ item, tile }) =>
        withChannels(
          windowOf(images[item]!, { left: tile.columns.start, top: tile.rows.start, width, height }),
          channels,
        ),
      );
      const encoded = await this.runEncoder(toFloat32(windows, new Float32Array(rows * height * width * channels)), [
        rows,
        height,
        width,
        channels,
      ]);
      this.anySize!.maps(height, width).forEach((map, m) => {
        const size = codeCount(map);
        jobs.forEach(({ item, tile }, row) => {
          const whole = ids[item]![m]!;
          const part = encoded[m]!.subarray(row * size, (row + 1) * size);
          copyBlock(gridOf(part, map), gridOf(whole.values, whole), innerBlock(tile, height / map.grid[0]!));
        });
      });
    }
    return images.map(({ width, height, channels }, i) => ({
      codec: this.fingerprint,
      media: { kind: 'image', width, height, channels },
      maps: ids[i]!.map((map) => ({ ...specOf(map), ids: toIds(map.values, map.vocabSize) })),
    }));
  }

  private async decodeAll(tokens: readonly Tokens[]): Promise<Image[]> {
    const sizes = tokens.map((one, i) => this.check(one, `decode[${i}]`));
    if (this.anySize) return this.decodeTiles(tokens, sizes);
    const images: Image[] = [];
    for (const [start, rows] of batches(tokens.length)) {
      const count = Math.min(rows, tokens.length - start);
      const maps = this.parts.maps.map((map, i) => {
        const size = codeCount(map);
        const ids = new Int32Array(rows * size);
        for (let row = 0; row < count; row++) ids.set(tokens[start + row]!.maps[i]!.ids, row * size);
        return { ids, shape: [rows, ...idsShape(map)] };
      });
      images.push(...(await this.runDecoder(maps)).slice(0, count));
    }
    return images;
  }

  private async runDecoder(maps: { ids: Int32Array; shape: number[] }[]): Promise<Image[]> {
    const inputs = maps.map(({ ids, shape }) => tf.tensor(ids, shape, 'int32'));
    const decoded = await this.decoder(inputs);
    tf.dispose(inputs);
    const { shape } = decoded;
    return fromFloat32(take(decoded) as Float32Array, shape);
  }

  private async decodeTiles(tokens: readonly Tokens[], sizes: readonly Size[]): Promise<Image[]> {
    const { channels } = this.parts.input;
    const images = tokens.map(({ media }, i) => blank(this.trueSize(media, sizes[i]!), channels));
    for (const { height, width, jobs, rows } of this.jobs(sizes)) {
      const maps = this.anySize!.maps(height, width).map((map, m) => {
        const size = codeCount(map);
        const ids = new Int32Array(rows * size);
        jobs.forEach(({ item, tile }, row) => {
          const whole = tokens[item]!.maps[m]!;
          copyBlock(
            gridOf(whole.ids, whole),
            gridOf(ids.subarray(row * size), map),
            windowBlock(tile, height / map.grid[0]!),
          );
        });
        return { ids, shape: [rows, ...idsShape(map)] };
      });
      const decoded = await this.runDecoder(maps);
      jobs.forEach(({ item, tile }, row) => {
        const image = images[item]!;
        const from = { values: decoded[row]!.pixels, width, depth: channels };
        copyBlock(
          from,
          { values: image.pixels, width: image.width, depth: channels },
          innerBlock(tile, 1, image.height, image.width),
        );
      });
    }
    return images;
  }

  /** Batches of tiles of one size. */
  private *jobs(sizes: readonly Size[]): Generator<{ height: number; width: number; rows: number; jobs: Job[] }> {
    const bySize = new Map<string, Job[]>();
    sizes.forEach(([height, width], item) => {
      for (const tile of tilesOf(height, width, this.tiling(height, width))) {
        const key = `${tile.rows.length}x${tile.columns.length}`;
        bySize.set(key, [...(bySize.get(key) ?? []), { item, tile }]);
      }
    });
    for (const jobs of bySize.values()) {
      const { rows, columns } = jobs[0]!.tile;
      const [height, width] = [rows.length, columns.length];
      const fitting = Math.max(1, Math.min(MAX_ROWS, 2 ** Math.floor(Math.log2((TILE * TILE) / (height * width)))));
      for (const [start, count] of batches(jobs.length, fitting))
        yield { height, width, rows: count, jobs: jobs.slice(start, start + count) };
    }
  }

  /** @throws {InputError} E_IMAGE_TOO_LARGE for a large picture and a codec that sees pictures as a whole. */
  private tiling(height: number, width: number): Tiling {
    const { multiple, reach } = this.anySize!;
    if (reach !== undefined) return tilingOf(this.parts.tile ?? TILE, reach, multiple);
    if (height * width <= ONE_PASS) return { tile: Math.max(height, width), reach: 0 };
    throw new InputError(
      'E_IMAGE_TOO_LARGE',
      `${this.name}: expected at most ${ONE_PASS} pixels, received ${width} x ${height}. Attention and group norm see a picture as a whole: it cannot be cut into tiles. Shrink it first.`,
    );
  }

  /** Height and width of a picture after padding. */
  private padded({ height, width }: { height: number; width: number }): Size {
    const { multiple } = this.anySize!;
    return [Math.ceil(height / multiple) * multiple, Math.ceil(width / multiple) * multiple];
  }

  /** Height and width of the decoded picture: those of the media, unless codes are of another size, as a prior's are. */
  private trueSize(media: MediaInfo, padded: Size): Size {
    const { height, width } = checkImageInfo('media', media);
    return sameShape(this.padded({ height, width }), padded) ? [height, width] : padded;
  }

  /** @returns height and width of the picture the maps are for. */
  private check(tokens: Tokens, where: string): Size {
    if (typeof tokens?.codec !== 'string' || !Array.isArray(tokens.maps)) checkTokens(where, tokens, []);
    if (tokens.codec !== this.fingerprint) {
      throw new CorruptError(
        'E_CODEC_MISMATCH',
        `${where}: expected tokens of codec ${this.fingerprint.slice(0, 12)}, received tokens of ${tokens.codec.slice(0, 12)}. Decode with the codec that made them.`,
      );
    }
    const size = this.sizeOf(tokens);
    checkTokens(where, tokens, this.anySize?.maps(...size) ?? this.parts.maps);
    checkImageInfo(`${where}.media`, tokens.media);
    return size;
  }

  /** Height and width that the first map is for. */
  private sizeOf({ maps: [first] }: Tokens): Size {
    const { height, width } = this.parts.input;
    const [rows, columns] = first?.grid ?? [];
    if (!this.anySize || !rows || !columns) return [height, width];
    const { multiple, maps } = this.anySize;
    const [ofRows, ofColumns] = maps(multiple, multiple)[0]!.grid as [number, number];
    return [(rows * multiple) / ofRows, (columns * multiple) / ofColumns];
  }
}

type Size = [height: number, width: number];

/** A tile of one of several pictures. */
interface Job {
  item: number;
  tile: Tile;
}

/** Values of a map as a grid of cells. */
function gridOf<T extends Int32Array | Uint16Array | Uint32Array>(
  values: T,
  { grid: [, width], levels }: TokenMapSpec,
): Grid<T> {
  return { values, width: width!, depth: levels };
}

function blank([height, width]: Size, channels: 1 | 3): Image {
  return { kind: 'image', width, height, channels, pixels: new Uint8Array(height * width * channels) };
}

/** The values of a tensor, which is disposed. */
function take(tensor: tf.Tensor): Float32Array | Int32Array | Uint8Array {
  const values = hostValues(tensor);
  tensor.dispose();
  return values;
}
