// Maps data to positions on a chart, and chooses round numbers for axis labels.
import { formatTick } from './format.js';

export interface Tick {
  value: number;
  label: string;
}

/** An axis. `place` maps [low, high] to [0, 1]. */
export interface Scale {
  low: number;
  high: number;
  ticks: Tick[];
  place(value: number): number;
}

export interface LinearOptions {
  /** The data are integers, so ticks are integers too. */
  integers?: boolean;
  /** Ends the axis at the data's range rather than at ticks. */
  tight?: boolean;
}

/**
 * Returns a linear axis that covers the values, with about `wanted` ticks in steps of 1, 2 or 5 times a power of ten.
 */
export function linearScale(values: Iterable<number>, wanted: number, options: LinearOptions = {}): Scale {
  const [min, max] = rangeOf(values);
  const [from, to] = areOne(min, max) ? widened(min) : [min, max];
  const step = Math.max(ceilOneTwoFive((to - from) / wanted), options.integers === true ? 1 : 0);
  const low = options.tight === true ? from : Math.floor(from / step + 1e-9) * step;
  const high = options.tight === true ? to : Math.ceil(to / step - 1e-9) * step;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  // Ticks are multiples of the step, not a running sum, so that rounding errors do not accumulate. Rounding to 12
  // digits removes the error of the product.
  const ticks = Array.from({ length: last - first + 1 }, (_, i) =>
    tickAt(Number(((first + i) * step).toPrecision(12))),
  );
  return { low, high, ticks, place: (value) => (value - low) / (high - low) };
}

/** Returns a logarithmic axis over positive values, with ticks at powers of ten, or at 1, 2 and 5 if there are few. */
export function logScale(values: Iterable<number>, wanted: number): Scale {
  const [min, max] = rangeOf(values);
  const low = floorOneTwoFive(min);
  const high = Math.max(ceilOneTwoFive(max), ceilOneTwoFive(low * 1.01));
  const all = oneTwoFives(low, high);
  const decades = all.filter((value) => isPowerOfTen(value));
  const chosen = all.length <= wanted + 2 || decades.length < 2 ? all : thinned(decades, wanted);
  const span = Math.log(high / low);
  return { low, high, ticks: chosen.map(tickAt), place: (value) => Math.log(value / low) / span };
}

function tickAt(value: number): Tick {
  return { value, label: formatTick(value) };
}

function rangeOf(values: Iterable<number>): [number, number] {
  let min = Infinity;
  let max = -Infinity;
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return min <= max ? [min, max] : [1, 1];
}

/** Whether values are so close together that tick labels could not distinguish them. */
function areOne(min: number, max: number): boolean {
  return max - min <= 1e-8 * Math.max(Math.abs(min), Math.abs(max));
}

/** Returns a range around a single value. */
function widened(value: number): [number, number] {
  const margin = value === 0 ? 1 : Math.abs(value) / 2;
  return [value - margin, value + margin];
}

function ceilOneTwoFive(value: number): number {
  const power = Math.floor(Math.log10(value) + 1e-9);
  const found = [1, 2, 5, 10].find((digit) => digit * 10 ** power >= value * (1 - 1e-9)) ?? 10;
  return exact(found, power);
}

function floorOneTwoFive(value: number): number {
  const power = Math.floor(Math.log10(value) + 1e-9);
  const found = [5, 2, 1].find((digit) => digit * 10 ** power <= value * (1 + 1e-9)) ?? 1;
  return exact(found, power);
}

/** Returns digit * 10^power without the rounding error of the product. */
function exact(digit: number, power: number): number {
  return Number(`${digit}e${power}`);
}

function oneTwoFives(low: number, high: number): number[] {
  const values: number[] = [];
  for (let power = Math.floor(Math.log10(low)) - 1; exact(1, power) <= high; power++) {
    for (const digit of [1, 2, 5]) {
      const value = exact(digit, power);
      if (value >= low && value <= high) values.push(value);
    }
  }
  return values;
}

function isPowerOfTen(value: number): boolean {
  return value.toExponential().startsWith('1e');
}

function thinned(values: number[], wanted: number): number[] {
  const every = Math.ceil(values.length / wanted);
  return values.filter((_, i) => i % every === 0);
}
