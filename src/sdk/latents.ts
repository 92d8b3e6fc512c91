// A look into a codec: the way between two pictures, what each dimension of the latents does, which code lies where.
import { compile, hostValues, tf } from '../engine/index.js';
import { UsageError } from '../errors.js';
import type { Image, ImageInput, TokenMap, TokenMapSpec } from '../interfaces/index.js';
import { imageGrid } from '../media/image/grid.js';
import { fromFloat32, toFloat32, withChannels } from '../media/image/pixels.js';
import { batches } from '../codec/encode.js';
import { disposeParams } from '../model/params.js';
import { sizeOf } from '../shape.js';
import { codecOf, codecParams, openCodec } from './open.js';
import { loadCodecFiles } from './models.js';
import { readPicture, sized } from './read-picture.js';
import type { Picture } from './read-picture.js';

export interface InterpolateOptions {
  /** Model directory of a codec with latents, or one that carries its codec. */
  codec: string;
  from: Picture;
  to: Picture;
  /** Pictures, both ends among them. Default 8. */
  steps?: number;
  /** Straight on, or along a great circle, which keeps Gaussian latents as long as the decoder knows them. Default: spherical for a codec without codes, else linear. */
  path?: 'linear' | 'spherical';
}

/**
 * Decodes latents on the way from one picture's to another's; for a codec with codes they are quantized again at each step.
 *
 * @returns `steps` pictures of the codec's own size, the first and last being the reconstructions of both.
 * @throws {UsageError} E_NO_LATENTS, E_LATENTS. @throws {InputError} for pictures that do not decode.
 */
export async function interpolate({ codec, from, to, steps = 8, path }: InterpolateOptions): Promise<Image[]> {
  checkCount('steps', steps, 2);
  const space = openLatents(codec);
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

export interface TraverseOptions {
  codec: string;
  /** Whose latents to start from. */
  picture: Picture;
  /** Dimensions of the latents to vary, from 0. Default: the first ten, or with `grid` the first two. */
  dims?: readonly number[];
  /** Vary two dimensions together, as the rows and columns of a phase diagram, in place of each alone. */
  grid?: boolean;
  /** Pictures a dimension; an odd number has the picture itself in the middle. Default 9. */
  steps?: number;
  /** How far to go each way, in units of the latents: standard deviations of a VAE's prior. Default 3. */
  range?: number;
}

export interface Traversal {
  /** Row by row. */
  images: Image[];
  columns: number;
  /** One a row; with `grid` those of rows and columns. */
  dims: number[];
  /** What is added to the picture's own value in each column. */
  offsets: number[];
}

/**
 * Decodes latents around a picture's, one dimension or two at a time. Where latents are a grid [h, w, D], a dimension is
 * varied at all positions alike; where there are several grids, the dimensions of the next follow those of the one before.
 *
 * @throws {UsageError} E_NO_LATENTS, E_LATENTS for dimensions there are not. @throws {InputError} for a picture that does not decode.
 */
export async function traverse({
  codec,
  picture,
  dims,
  grid = false,
  steps = 9,
  range = 3,
}: TraverseOptions): Promise<Traversal> {
  checkCount('steps', steps, 2);
  if (!(range > 0 && Number.isFinite(range)))
    throw new UsageError('E_LATENTS', `traverse(range): expected a number above 0, received ${range}.`);
  const space = openLatents(codec);
  try {
    const { depth } = space;
    const chosen = [...(dims ?? Array.from({ length: Math.min(depth, grid ? 2 : 10) }, (_, i) => i))];
    checkDims(chosen, depth, grid);
    const [origin] = (await space.encode([await space.read(picture)])) as [Float32Array];
    const offsets = Array.from({ length: steps }, (_, i) => range * ((2 * i) / (steps - 1) - 1));
    const [down, across] = chosen as [number, number];
    const points = grid
      ? offsets.flatMap((vertical) =>
          offsets.map((horizontal) => space.shifted(space.shifted(origin, down, vertical), across, horizontal)),
        )
      : chosen.flatMap((dim) => offsets.map((offset) => space.shifted(origin, dim, offset)));
    return { images: await space.decode(points), columns: steps, dims: chosen, offsets };
  } finally {
    await space.dispose();
  }
}

export interface CodeMapOptions {
  codec: string;
  picture: Picture;
  /** Name of the map, for codecs with several. Default: the one with most codes. */
  map?: string;
  /** Which of the ids of a position, from 0, for quantizers that give several. Default 0. */
  level?: number;
}

export interface CodeMap {
  /** The picture as the codec sees it, and the colors of its codes over it, enlarged so that codes can be told apart. */
  picture: Image;
  overlay: Image;
  /** Which map is drawn. */
  name: string;
  grid: number[];
  /** The codes that occur, most frequent first, with their sRGB colors. */
  codes: { id: number; count: number; color: [number, number, number] }[];
}

/** Pixels of a code's side in a code map, at least. */
const CELL = 8;

/**
 * Draws the ids of a picture's codes over it: one hue an id, by golden angle, so that ids next to each other differ.
 *
 * @throws {UsageError} E_NO_CODES for a codec without codes, E_CODE_MAP for a map or level there is not.
 * @throws {InputError} for a picture that does not decode.
 */
export async function codeMap({ codec: directory, picture, map: name, level = 0 }: CodeMapOptions): Promise<CodeMap> {
  const stored = loadCodecFiles(directory);
  const { family, config } = codecOf(stored);
  const specs = family.maps(config);
  if (specs.length === 0)
    throw new UsageError(
      'E_NO_CODES',
      `${directory}: expected a codec with codes, received ${family.name}, whose latents are continuous.`,
    );
  if (name !== undefined && specs.every((spec) => spec.name !== name))
    throw new UsageError(
      'E_CODE_MAP',
      `code map: expected map ${specs.map((spec) => spec.name).join(' or ')}, received "${name}".`,
    );
  const codec = openCodec(stored);
  try {
    const seen = await readPicture(picture, codec.input);
    const { maps } = await codec.encode(seen);
    const map =
      maps.find((one) => one.name === name) ??
      maps.reduce((most, one) => (one.ids.length > most.ids.length ? one : most));
    const ids = idsOf(map, level);
    const cell = cellOf(specs, codec.input, map.name);
    const scale = Math.max(1, Math.ceil(CELL / Math.min(cell.height, cell.width)));
    const enlarged = imageGrid([seen], { gap: 0, scale });
    const overlay = drawn(enlarged, ids, map.grid[1]!, { height: cell.height * scale, width: cell.width * scale });
    return { picture: enlarged, overlay, name: map.name, grid: map.grid, codes: counted(ids) };
  } finally {
    codec.dispose();
  }
}

/** A codec's latents, compiled. Those of a picture are one vector, grid after grid. */
interface OpenLatents {
  /** Number of dimensions, those of all grids. */
  depth: number;
  hasCodes: boolean;
  read(picture: Picture): Promise<Image>;
  encode(images: readonly Image[]): Promise<Float32Array[]>;
  decode(latents: readonly Float32Array[]): Promise<Image[]>;
  /** The vector with one dimension moved at all positions. */
  shifted(point: Float32Array, dim: number, offset: number): Float32Array;
  dispose(): Promise<void>;
}

interface Layout {
  grids: { shape: number[]; start: number; size: number }[];
  /** Of the vector. */
  size: number;
  /** Of each value of the vector, its dimension. */
  dimensions: number[];
}

/** How grids [.., D] lie in one vector. */
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

function openLatents(directory: string): OpenLatents {
  const stored = loadCodecFiles(directory);
  const { family, config } = codecOf(stored);
  const { latents } = family;
  if (!latents)
    throw new UsageError(
      'E_NO_LATENTS',
      `${directory}: expected a codec with a latent space, received ${family.name}, which has none.`,
    );
  const params = codecParams(directory, { family, config }, stored.tensors);
  const encode = compile((images: tf.Tensor4D) => latents.encode(params, images, config), {
    name: `${family.name}_latents`,
    freeze: true,
  });
  const decode = compile((points: tf.Tensor[]) => latents.decode(params, points, config), {
    name: `${family.name}_from_latents`,
    freeze: true,
  });
  const input = family.input(config);
  const { grids, size, dimensions } = layoutOf(latents.shapes(config));
  return {
    depth: dimensions.at(-1)! + 1,
    hasCodes: family.maps(config).length > 0,
    read: (picture) => readPicture(picture, sized(input)),
    encode: async (images) => {
      const batch = tf.tensor4d(toFloat32(images), [images.length, input.height, input.width, input.channels]);
      const encoded = await encode(batch);
      const points = images.map(() => new Float32Array(size));
      grids.forEach((grid, g) => {
        const values = hostValues(encoded[g]!) as Float32Array;
        points.forEach((point, row) => point.set(values.subarray(row * grid.size, (row + 1) * grid.size), grid.start));
      });
      tf.dispose([batch, encoded]);
      return points;
    },
    decode: async (points) => {
      const images: Image[] = [];
      for (const [start, rows] of batches(points.length)) {
        const batch = grids.map((grid) => {
          const values = new Float32Array(rows * grid.size);
          points
            .slice(start, start + rows)
            .forEach((point, row) => values.set(point.subarray(grid.start, grid.start + grid.size), row * grid.size));
          return tf.tensor(values, [rows, ...grid.shape]);
        });
        const decoded = await decode(batch);
        images.push(...fromFloat32(hostValues(decoded) as Float32Array, decoded.shape));
        tf.dispose([...batch, decoded]);
      }
      return images.slice(0, points.length);
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
  // Vectors that are parallel, or of no length, leave no circle to go along.
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

/** Pixels of a code's side, from the maps of the codec's own size. */
function cellOf(
  maps: readonly TokenMapSpec[],
  { height, width }: ImageInput,
  name: string,
): { height: number; width: number } {
  const [rows, columns] = maps.find((map) => map.name === name)!.grid as [number, number];
  return { height: height / rows, width: width / columns };
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

/** Cells of color over the picture in gray, with a dark line between them. */
function drawn(image: Image, ids: readonly number[], columns: number, cell: { height: number; width: number }): Image {
  const gray = withChannels(image, 1).pixels;
  const { width, height } = image;
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(y / cell.height) * columns;
    for (let x = 0; x < width; x++) {
      const isLine = y % cell.height < 1 || x % cell.width < 1;
      const color = colorOf(ids[row + Math.floor(x / cell.width)]!);
      for (let c = 0; c < 3; c++)
        pixels[(y * width + x) * 3 + c] = (isLine ? 0.6 : 1) * (0.55 * color[c]! + 0.45 * gray[y * width + x]!);
    }
  }
  return { kind: 'image', width, height, channels: 3, pixels };
}
