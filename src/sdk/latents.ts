// Explores a codec: interpolation between two samples, traversal of the latents, and which code lies where.
import { expectOptions } from '../arguments.js';
import { compile, hostValues, tf } from '../engine/index.js';
import { UsageError } from '../errors.js';
import type { BatchInput } from '../data/batches.js';
import type { Media, TokenMap } from '../interfaces/index.js';
import { floatsOf, samplesFrom } from '../media/floats.js';
import { fullMedium } from '../media/node.js';
import { batches } from '../codec/encode.js';
import { disposeParams } from '../model/params.js';
import { sizeOf } from '../shape.js';
import { codecOf, codecParams } from './codec.js';
import { readSample, sized } from './read-sample.js';
import type { SampleSource } from './read-sample.js';
import { codecFiles, expectModelSource, sourceName, withCodec } from './sources.js';
import type { CodecSource } from './sources.js';

export interface InterpolateOptions<M extends Media = Media> {
  /** A codec with latents. */
  codec: CodecSource;
  from: SampleSource<M>;
  to: SampleSource<M>;
  /** Number of samples, including both ends. Default 8. */
  steps?: number;
  /** A straight line, or a great circle, which keeps Gaussian latents at the length that the decoder knows. Default: spherical for a codec without codes, otherwise linear. */
  path?: 'linear' | 'spherical';
}

/**
 * Interpolates between the latents of two samples and decodes each step. A codec with codes quantizes each step again.
 *
 * @returns `steps` samples of the codec's own extent. The first and the last are the reconstructions of both samples.
 * @throws {UsageError} E_NO_LATENTS, E_LATENTS. @throws {InputError} for files that cannot be decoded.
 */
export async function interpolate<M extends Media = Media>(options: InterpolateOptions<M>): Promise<M[]> {
  expectOptions('interpolate', options);
  expectModelSource('interpolate: codec', options.codec, 'codec');
  const { codec, from, to, steps = 8, path } = options;
  checkCount('steps', steps, 2);
  const space = openLatents<M>(codec);
  try {
    const [start, end] = (await space.encode([await space.read(from), await space.read(to)])) as [
      Float32Array,
      Float32Array,
    ];
    const between = (path ?? (space.hasCodes ? 'linear' : 'spherical')) === 'linear' ? lerp : slerp;
    return await space.decode(Array.from({ length: steps }, (_, i) => between(start, end, i / (steps - 1))));
  } finally {
    await space.dispose();
  }
}

export interface TraverseOptions<M extends Media = Media> {
  codec: CodecSource;
  /** The sample whose latents are varied. */
  sample: SampleSource<M>;
  /** Dimensions of the latents to vary, from 0. Default: the first ten, or with `grid` the first two. */
  dims?: readonly number[];
  /** Varies two dimensions together, as the rows and columns of a grid, instead of each alone. */
  grid?: boolean;
  /** Number of samples for each dimension. An odd number has the reconstruction itself in the middle. Default 9. */
  steps?: number;
  /** Distance in each direction, in units of the latents: standard deviations of a VAE's prior. Default 3. */
  range?: number;
}

export interface Traversal<M extends Media = Media> {
  /** Row by row. */
  media: M[];
  columns: number;
  /** One for each row; with `grid` those of rows and columns. */
  dims: number[];
  /** Added to the sample's own value in each column. */
  offsets: number[];
}

/**
 * Varies one or two dimensions of a sample's latents and decodes them. If the latents are a grid [.., D], a dimension is varied
 * at all positions alike. If there are several grids, the dimensions of each follow those of the one before.
 *
 * @throws {UsageError} E_NO_LATENTS; E_LATENTS for dimensions that do not exist. @throws {InputError} for a file that cannot be
 *   decoded.
 */
export async function traverse<M extends Media = Media>(options: TraverseOptions<M>): Promise<Traversal<M>> {
  expectOptions('traverse', options);
  expectModelSource('traverse: codec', options.codec, 'codec');
  const { codec, sample, dims, grid = false, steps = 9, range = 3 } = options;
  checkCount('steps', steps, 2);
  if (!(range > 0 && Number.isFinite(range)))
    throw new UsageError('E_LATENTS', `traverse(range): expected a number above 0, received ${range}.`);
  const space = openLatents<M>(codec);
  try {
    const { depth } = space;
    const chosen = [...(dims ?? Array.from({ length: Math.min(depth, grid ? 2 : 10) }, (_, i) => i))];
    checkDims(chosen, depth, grid);
    const [origin] = (await space.encode([await space.read(sample)])) as [Float32Array];
    const offsets = Array.from({ length: steps }, (_, i) => range * ((2 * i) / (steps - 1) - 1));
    const [down, across] = chosen as [number, number];
    const points = grid
      ? offsets.flatMap((vertical) =>
          offsets.map((horizontal) => space.shifted(space.shifted(origin, down, vertical), across, horizontal)),
        )
      : chosen.flatMap((dim) => offsets.map((offset) => space.shifted(origin, dim, offset)));
    return { media: await space.decode(points), columns: steps, dims: chosen, offsets };
  } finally {
    await space.dispose();
  }
}

export interface CodeMapOptions<M extends Media = Media> {
  codec: CodecSource;
  sample: SampleSource<M>;
  /** Name of the map, for codecs with several. Default: the one with the most codes. */
  map?: string;
  /** Which of the ids of a position to draw, from 0, for quantizers that give several. Default 0. */
  level?: number;
}

export interface CodeMap<M extends Media = Media> {
  /** The sample as the codec sees it, enlarged so that codes can be distinguished. */
  sample: M;
  /** The colors of the codes over it. */
  overlay: M;
  /** Name of the map that is drawn. */
  name: string;
  grid: number[];
  /** The codes that occur, most frequent first, with their sRGB colors. */
  codes: { id: number; count: number; color: [number, number, number] }[];
}

/**
 * Draws the ids of a sample's codes over it. Each id has a hue; hues are a golden angle apart, so that neighboring ids differ.
 *
 * @throws {UsageError} E_NO_CODES for a codec without codes; E_CODE_MAP for a map or level that does not exist, or a medium whose
 *   codes cannot be drawn.
 * @throws {InputError} for a file that cannot be decoded.
 */
export async function codeMap<M extends Media = Media>(options: CodeMapOptions<M>): Promise<CodeMap<M>> {
  expectOptions('codeMap', options);
  expectModelSource('codeMap: codec', options.codec, 'codec');
  const { codec: source, sample, map: name, level = 0 } = options;
  const { family, config } = codecOf(codecFiles(source));
  const specs = family.maps(config);
  if (specs.length === 0)
    throw new UsageError(
      'E_NO_CODES',
      `${sourceName(source)}: expected a codec with codes, received ${family.name}, whose latents are continuous.`,
    );
  if (name !== undefined && specs.every((spec) => spec.name !== name))
    throw new UsageError(
      'E_CODE_MAP',
      `code map: expected map ${specs.map((spec) => spec.name).join(' or ')}, received "${name}".`,
    );
  const medium = fullMedium(family.medium);
  if (!medium.drawCodes)
    throw new UsageError(
      'E_CODE_MAP',
      `code map: expected a medium whose codes can be drawn, received "${medium.name}".`,
    );
  return withCodec<CodeMap<M>>(source, {}, async (codec) => {
    const seen = await readSample<M>(sample, { medium, input: codec.input });
    const { maps } = await codec.encode(seen);
    const map =
      maps.find((one) => one.name === name) ??
      maps.reduce((most, one) => (one.ids.length > most.ids.length ? one : most));
    const ids = idsOf(map, level);
    const own = specs.find((spec) => spec.name === map.name)!.grid;
    const cell = own.map((codes, axis) => medium.itemShape(codec.input)[axis]! / codes);
    const drawn = medium.drawCodes!(seen, { ids, grid: map.grid, cell, colorOf });
    return { ...drawn, name: map.name, grid: map.grid, codes: counted(ids) };
  });
}

/** A codec's latents, compiled. Those of a sample are one vector, grid after grid. */
interface OpenLatents<M extends Media> {
  /** Number of dimensions of all grids together. */
  depth: number;
  hasCodes: boolean;
  read(sample: SampleSource<M>): Promise<M>;
  encode(samples: readonly M[]): Promise<Float32Array[]>;
  decode(latents: readonly Float32Array[]): Promise<M[]>;
  /** Returns the vector with an offset added to one dimension at all positions. */
  shifted(point: Float32Array, dim: number, offset: number): Float32Array;
  dispose(): Promise<void>;
}

interface Layout {
  grids: { shape: number[]; start: number; size: number }[];
  /** Length of the vector. */
  size: number;
  /** The dimension of each value of the vector. */
  dimensions: number[];
}

/** Lays grids [.., D] out in one vector. */
function layoutOf(shapes: readonly number[][]): Layout {
  const grids: Layout['grids'] = [];
  const dimensions: number[] = [];
  let first = 0;
  for (const shape of shapes) {
    const [size, depth] = [sizeOf(shape), shape.at(-1)!];
    grids.push({ shape, start: dimensions.length, size });
    for (let i = 0; i < size; i++) dimensions.push(first + (i % depth));
    first += depth;
  }
  return { grids, size: dimensions.length, dimensions };
}

function openLatents<M extends Media>(source: CodecSource): OpenLatents<M> {
  const stored = codecFiles(source);
  const { family, config } = codecOf(stored);
  const { latents } = family;
  if (!latents)
    throw new UsageError(
      'E_NO_LATENTS',
      `${sourceName(source)}: expected a codec with a latent space, received ${family.name}, which has none.`,
    );
  const params = codecParams(sourceName(source), { family, config }, stored.tensors);
  const encode = compile((inputs: tf.Tensor) => latents.encode(params, inputs, config), {
    name: `${family.name}_latents`,
    freeze: true,
  });
  const decode = compile((points: tf.Tensor[]) => latents.decode(params, points, config), {
    name: `${family.name}_from_latents`,
    freeze: true,
  });
  const medium = fullMedium(family.medium);
  const own: BatchInput = sized({ medium, input: family.input(config) });
  const itemShape = medium.itemShape(own.input);
  const { grids, size, dimensions } = layoutOf(latents.shapes(config));
  return {
    depth: dimensions.at(-1)! + 1,
    hasCodes: family.maps(config).length > 0,
    read: (sample) => readSample(sample, own),
    encode: async (samples) => {
      const batch = tf.tensor(floatsOf(medium, samples), [samples.length, ...itemShape]);
      const encoded = await encode(batch);
      const points = samples.map(() => new Float32Array(size));
      grids.forEach((grid, g) => {
        const values = hostValues(encoded[g]!) as Float32Array;
        points.forEach((point, row) => point.set(values.subarray(row * grid.size, (row + 1) * grid.size), grid.start));
      });
      tf.dispose([batch, encoded]);
      return points;
    },
    decode: async (points) => {
      const samples: M[] = [];
      for (const [start, rows] of batches(points.length)) {
        const batch = grids.map((grid) => {
          const values = new Float32Array(rows * grid.size);
          points
            .slice(start, start + rows)
            .forEach((point, row) => values.set(point.subarray(grid.start, grid.start + grid.size), row * grid.size));
          return tf.tensor(values, [rows, ...grid.shape]);
        });
        const decoded = await decode(batch);
        samples.push(...samplesFrom<M>(medium, own.input, hostValues(decoded) as Float32Array, decoded.shape));
        tf.dispose([...batch, decoded]);
      }
      return samples.slice(0, points.length);
    },
    shifted: (point, dim, offset) => point.map((value, i) => (dimensions[i] === dim ? value + offset : value)),
    dispose: async () => {
      await encode.dispose();
      await decode.dispose();
      disposeParams(params);
    },
  };
}

function lerp(a: Float32Array, b: Float32Array, t: number): Float32Array {
  return a.map((value, i) => (1 - t) * value + t * b[i]!);
}

/** Spherical interpolation between two vectors of any length. Source: Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985. */
function slerp(a: Float32Array, b: Float32Array, t: number): Float32Array {
  const cosine = dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  // Vectors that are parallel or of length 0 define no circle.
  if (!(Math.abs(cosine) < 1 - 1e-6)) return lerp(a, b, t);
  const angle = Math.acos(cosine);
  const [near, far] = [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
  return a.map((value, i) => near * value + far * b[i]!);
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function checkCount(name: string, count: number, least: number): void {
  if (!Number.isSafeInteger(count) || count < least || count > 1024)
    throw new UsageError('E_LATENTS', `${name}: expected a whole number from ${least} to 1024, received ${count}.`);
}

function checkDims(dims: readonly number[], depth: number, grid: boolean): void {
  const bad = dims.find((dim) => !Number.isInteger(dim) || dim < 0 || dim >= depth);
  if (bad !== undefined)
    throw new UsageError('E_LATENTS', `dims: expected dimensions from 0 to ${depth - 1}, received ${bad}.`);
  if (grid && (dims.length !== 2 || dims[0] === dims[1]))
    throw new UsageError('E_LATENTS', `dims: expected two different ones for a grid, received ${dims.join(', ')}.`);
  if (dims.length === 0) throw new UsageError('E_LATENTS', 'dims: expected at least one dimension, received none.');
}

/** The ids of one level, row by row. */
function idsOf({ levels, ids }: TokenMap, level: number): number[] {
  if (!Number.isInteger(level) || level < 0 || level >= levels)
    throw new UsageError('E_CODE_MAP', `code map(level): expected one from 0 to ${levels - 1}, received ${level}.`);
  return [...ids].filter((_, i) => i % levels === level);
}

const GOLDEN_ANGLE = 137.50776405;

/** sRGB of a hue at full saturation, lightness varied over three steps. */
function colorOf(id: number): [number, number, number] {
  const hue = (id * GOLDEN_ANGLE) % 360;
  const lightness = [0.5, 0.62, 0.38][id % 3]!;
  const spread = Math.min(lightness, 1 - lightness);
  const channel = (n: number): number => {
    const k = (n + hue / 30) % 12;
    return Math.round(255 * (lightness - spread * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}

function counted(ids: readonly number[]): CodeMap['codes'] {
  const counts = new Map<number, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return [...counts].sort(([a, m], [b, n]) => n - m || a - b).map(([id, count]) => ({ id, count, color: colorOf(id) }));
}
