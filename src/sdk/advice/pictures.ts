// Looks at a sample of a dataset's images: their sizes, whether they are gray, and what surrounds what they show.
import { InputError } from '../../errors.js';
import { mapLimit, PARALLEL } from '../../data/concurrency.js';
import { decodeSample } from '../../data/decode.js';
import type { DecodedSample } from '../../data/decode.js';
import type { Dataset, Image, ImageInput, Split } from '../../interfaces/index.js';
import { fullMedium } from '../../media/node.js';
import { spreadIndices } from '../spread.js';

/** What the images of a dataset are like. */
export interface PictureSurvey {
  /** Number of images in each split. */
  count: Record<Split, number>;
  /** Median size, in pixels. */
  width: number;
  height: number;
  /** Whether all sampled images have that size. */
  sameSize: boolean;
  /** Whether all sampled images have about the same proportions. */
  sameAspect: boolean;
  /** Whether no sampled image has color. */
  gray: boolean;
  /** What most images are surrounded by: nothing uniform (photographs), or a uniform dark or light color. */
  border: 'none' | 'dark' | 'light';
}

/** Number of images that are looked at. */
const LOOKED_AT = 96;

/** Size, in pixels, that images are looked at in. */
const VIEW = 64;

const VIEWED: ImageInput = { height: VIEW, width: VIEW, channels: 3, background: [255, 255, 255], resize: 'contain' };

/** @throws {InputError} E_DATA_EMPTY, or the error of the first image if none can be decoded. */
export async function lookAt(dataset: Dataset, signal?: AbortSignal): Promise<PictureSurvey> {
  const count = { train: dataset.size('train'), test: dataset.size('test') };
  const samples = await decodeSpread(dataset, 'train', { count: LOOKED_AT, input: VIEWED, signal });
  const sizes = samples.map(({ original }) => ({
    width: Number(original['width']),
    height: Number(original['height']),
  }));
  const [width, height] = [median(sizes.map((size) => size.width)), median(sizes.map((size) => size.height))];
  const views = samples.map(({ media }) => media as Image);
  const borders = views.map((view, i) => borderOf(view, sizes[i]!));
  return {
    count,
    width,
    height,
    sameSize: sizes.every((size) => size.width === width && size.height === height),
    sameAspect: sizes.every((size) => Math.abs(Math.log((size.width * height) / (size.height * width))) < 0.05),
    gray: views.every(isGray),
    border: (['dark', 'light'] as const).find((kind) => share(borders, kind) > 0.5) ?? 'none',
  };
}

/** Decodes samples that are spread evenly over a split. Those that cannot be decoded are left out, as training will report them. */
export async function decodeSpread(
  dataset: Dataset,
  split: Split,
  { count, input, signal }: { count: number; input: ImageInput; signal?: AbortSignal | undefined },
): Promise<DecodedSample[]> {
  const medium = fullMedium(dataset.medium);
  let failure: InputError | undefined;
  const decoded = await mapLimit(spreadIndices(dataset.size(split), count), PARALLEL, async (index) => {
    signal?.throwIfAborted();
    try {
      return await decodeSample(await dataset.read(split, index), medium, input);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      failure ??= error;
      return undefined;
    }
  });
  const samples = decoded.filter((sample) => sample !== undefined);
  if (samples.length > 0) return samples;
  throw (
    failure ?? new InputError('E_DATA_EMPTY', `${dataset.source}: expected samples in the ${split} split, found none.`)
  );
}

/** JPEG may tint gray a little. */
const TINT = 6;

function isGray({ pixels }: Image): boolean {
  for (let i = 0; i < pixels.length; i += 3) {
    const [r, g, b] = [pixels[i]!, pixels[i + 1]!, pixels[i + 2]!];
    if (Math.max(r, g, b) - Math.min(r, g, b) > TINT) return false;
  }
  return true;
}

/** How far a border's pixels may be from its median, and what share of them must be within that. */
const UNIFORM = { distance: 24, share: 0.85 };

function borderOf({ pixels }: Image, { width, height }: { width: number; height: number }): PictureSurvey['border'] {
  const scale = VIEW / Math.max(width, height);
  // A pixel inside the padding that brought the image to a square.
  const insetOf = (extent: number): number =>
    Math.ceil((VIEW - Math.max(1, extent * scale)) / 2) + (extent * scale < VIEW - 1 ? 1 : 0);
  const [left, top] = [insetOf(width), insetOf(height)];
  const values: number[] = [];
  const add = (x: number, y: number): void => {
    const at = 3 * (y * VIEW + x);
    values.push(0.299 * pixels[at]! + 0.587 * pixels[at + 1]! + 0.114 * pixels[at + 2]!);
  };
  for (let x = left; x < VIEW - left; x++) [top, VIEW - 1 - top].forEach((y) => add(x, y));
  for (let y = top; y < VIEW - top; y++) [left, VIEW - 1 - left].forEach((x) => add(x, y));
  if (values.length === 0) return 'none';
  const middle = median(values);
  const uniform = values.filter((value) => Math.abs(value - middle) <= UNIFORM.distance).length / values.length;
  if (uniform < UNIFORM.share) return 'none';
  return middle < 64 ? 'dark' : middle > 192 ? 'light' : 'none';
}

const share = <T>(values: readonly T[], wanted: T): number =>
  values.filter((value) => value === wanted).length / values.length;

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
