// Resampling of small images. libvips resizes large ones faster than anything here could, but setting up its pipeline
// costs a small image more than a millisecond, five times what decoding it costs: this is for those.
import type { Image } from '../../interfaces/media.js';

export type Color = readonly [red: number, green: number, blue: number];

/** How an image is brought to a size: crop the overhang, pad with the background, or stretch. */
export type ResizeMode = 'cover' | 'contain' | 'fill';

export type Kernel = 'nearest' | 'linear' | 'cubic' | 'mitchell' | 'lanczos2' | 'lanczos3';

/** A filter: its reach in pixels of the coarser grid, and its weight at a distance. */
interface Filter {
  reach: number;
  weight(x: number): number;
}

const FILTERS: Record<Kernel, Filter> = {
  nearest: { reach: 0.5, weight: () => 1 },
  linear: { reach: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  cubic: { reach: 2, weight: (x) => cubic(x, 0, 0.5) },
  mitchell: { reach: 2, weight: (x) => cubic(x, 1 / 3, 1 / 3) },
  lanczos2: { reach: 2, weight: (x) => lanczos(x, 2) },
  lanczos3: { reach: 3, weight: (x) => lanczos(x, 3) },
};

/** Source: Mitchell, Netravali, "Reconstruction filters in computer graphics", SIGGRAPH 1988. */
function cubic(x: number, b: number, c: number): number {
  const d = Math.abs(x);
  if (d < 1) return ((12 - 9 * b - 6 * c) * d ** 3 + (-18 + 12 * b + 6 * c) * d ** 2 + (6 - 2 * b)) / 6;
  if (d < 2) return ((-b - 6 * c) * d ** 3 + (6 * b + 30 * c) * d ** 2 + (-12 * b - 48 * c) * d + (8 * b + 24 * c)) / 6;
  return 0;
}

function lanczos(x: number, lobes: number): number {
  if (x === 0) return 1;
  if (Math.abs(x) >= lobes) return 0;
  const a = Math.PI * x;
  return (lobes * Math.sin(a) * Math.sin(a / lobes)) / (a * a);
}

/** For each place of a line: the first source place, and `taps` weights that sum to 1. */
interface Taps {
  taps: number;
  first: Int32Array;
  /** Doubles, as are the lines between the passes: JavaScript computes in doubles, and converting costs more than room. */
  weights: Float64Array;
}

const known = new Map<string, Taps>();
const MAX_KNOWN = 256;

/**
 * The taps that bring source [start, start + span) to `to` places. Reach grows with the reduction, so that nothing
 * aliases; weights beyond the border are left out.
 */
function tapsOf(from: number, start: number, span: number, to: number, kernel: Kernel): Taps {
  const key = `${from}/${start}/${span}/${to}/${kernel}`;
  const cached = known.get(key);
  if (cached) return cached;
  if (known.size >= MAX_KNOWN) known.clear();
  const computed =
    kernel === 'nearest' ? nearestTaps(from, start, span, to) : computeTaps(from, start, span, to, FILTERS[kernel]);
  known.set(key, computed);
  return computed;
}

function nearestTaps(from: number, start: number, span: number, to: number): Taps {
  const place = (_: unknown, i: number): number => Math.min(from - 1, Math.floor(start + ((i + 0.5) * span) / to));
  return { taps: 1, first: Int32Array.from({ length: to }, place), weights: new Float64Array(to).fill(1) };
}

function computeTaps(from: number, start: number, span: number, to: number, filter: Filter): Taps {
  const scale = span / to;
  const stretch = Math.max(scale, 1);
  const reach = filter.reach * stretch;
  const taps = Math.min(from, Math.ceil(2 * reach));
  const first = new Int32Array(to);
  const weights = new Float64Array(to * taps);
  for (let i = 0; i < to; i++) {
    const center = start + (i + 0.5) * scale;
    const begin = Math.min(Math.max(0, Math.ceil(center - reach - 0.5)), from - taps);
    const row = Float64Array.from({ length: taps }, (_, t) => filter.weight((begin + t + 0.5 - center) / stretch));
    const sum = row.reduce((total, weight) => total + weight, 0);
    first[i] = begin;
    for (let t = 0; t < taps; t++) weights[i * taps + t] = row[t]! / sum;
  }
  return { taps, first, weights };
}

export interface Resampling {
  width: number;
  height: number;
  resize: ResizeMode;
  kernel: Kernel;
  background: Color;
}

/**
 * Resamples an image in memory, separably, columns after rows.
 *
 * @param image uint8 [H, W, C].
 * @returns uint8 [height, width, C], rounded to nearest.
 */
export function resample(image: Image, to: Resampling): Image {
  const across = image.width / to.width;
  const down = image.height / to.height;
  if (to.resize === 'contain' && across !== down) return contained(image, to, Math.max(across, down));
  const scale = Math.min(across, down);
  const spanX = to.resize === 'cover' ? to.width * scale : image.width;
  const spanY = to.resize === 'cover' ? to.height * scale : image.height;
  const columns = tapsOf(image.width, (image.width - spanX) / 2, spanX, to.width, to.kernel);
  const rows = tapsOf(image.height, (image.height - spanY) / 2, spanY, to.height, to.kernel);
  const wide = resampleRows(image, columns, to.width);
  return {
    ...image,
    width: to.width,
    height: to.height,
    pixels: resampleColumns(wide, rows, to.width * image.channels, to.height),
  };
}

/** Scales the whole image into the frame and centers it on the background. */
function contained(image: Image, to: Resampling, scale: number): Image {
  const width = Math.max(1, Math.round(image.width / scale));
  const height = Math.max(1, Math.round(image.height / scale));
  const inner = resample(image, { ...to, width, height, resize: 'fill' });
  return place(inner, to);
}

function place(inner: Image, { width, height, background }: Resampling): Image {
  const { channels } = inner;
  const [r, g, b] = background;
  const fill = channels === 3 ? background : [Math.round(0.2126 * r + 0.7152 * g + 0.0722 * b)];
  const pixels = Uint8Array.from({ length: width * height * channels }, (_, i) => fill[i % channels]!);
  const left = Math.floor((width - inner.width) / 2);
  const top = Math.floor((height - inner.height) / 2);
  const stride = inner.width * channels;
  for (let y = 0; y < inner.height; y++) {
    pixels.set(inner.pixels.subarray(y * stride, (y + 1) * stride), ((top + y) * width + left) * channels);
  }
  return { ...inner, width, height, pixels };
}

/** uint8 [H, W, C] -> float64 [H, width, C]. Written out for each C, because this loop is where the time goes. */
function resampleRows(image: Image, taps: Taps, width: number): Float64Array {
  const out = new Float64Array(image.height * width * image.channels);
  if (image.channels === 3) colorRows(image, taps, width, out);
  else grayRows(image, taps, width, out);
  return out;
}

function grayRows(
  { height, width: from, pixels }: Image,
  { taps, first, weights }: Taps,
  width: number,
  out: Float64Array,
): void {
  for (let y = 0, o = 0; y < height; y++) {
    for (let x = 0; x < width; x++, o++) {
      let sum = 0;
      for (let t = 0, p = y * from + first[x]!, w = x * taps; t < taps; t++) sum += pixels[p + t]! * weights[w + t]!;
      out[o] = sum;
    }
  }
}

function colorRows(
  { height, width: from, pixels }: Image,
  { taps, first, weights }: Taps,
  width: number,
  out: Float64Array,
): void {
  for (let y = 0, o = 0; y < height; y++) {
    for (let x = 0; x < width; x++, o += 3) {
      let r = 0;
      let g = 0;
      let b = 0;
      for (let t = 0, p = 3 * (y * from + first[x]!), w = x * taps; t < taps; t++, p += 3) {
        const weight = weights[w + t]!;
        r += pixels[p]! * weight;
        g += pixels[p + 1]! * weight;
        b += pixels[p + 2]! * weight;
      }
      out[o] = r;
      out[o + 1] = g;
      out[o + 2] = b;
    }
  }
}

/** float64 [H, stride] -> uint8 [height, stride]. */
function resampleColumns(
  lines: Float64Array,
  { taps, first, weights }: Taps,
  stride: number,
  height: number,
): Uint8Array {
  // A clamped array rounds and clamps in the store itself.
  const out = new Uint8ClampedArray(height * stride);
  for (let y = 0; y < height; y++) {
    const top = first[y]! * stride;
    const to = y * stride;
    // Four columns at a time: each weight is read once for all.
    const whole = stride - (stride % 4);
    for (let i = 0; i < whole; i += 4) {
      let [a, b, c, d] = [0, 0, 0, 0];
      for (let t = 0, p = top + i, w = y * taps; t < taps; t++, p += stride) {
        const weight = weights[w + t]!;
        a += lines[p]! * weight;
        b += lines[p + 1]! * weight;
        c += lines[p + 2]! * weight;
        d += lines[p + 3]! * weight;
      }
      out[to + i] = a;
      out[to + i + 1] = b;
      out[to + i + 2] = c;
      out[to + i + 3] = d;
    }
    for (let i = whole; i < stride; i++) {
      let sum = 0;
      for (let t = 0, p = top + i, w = y * taps; t < taps; t++, p += stride) sum += lines[p]! * weights[w + t]!;
      out[to + i] = sum;
    }
  }
  return new Uint8Array(out.buffer);
}
