// Formats numbers and times for people, and escapes text. Independent of the locale, so the result is the same on every
// machine.

import { formatCount } from '../names.js';

export { formatCount };

/**
 * Formats a number with four significant digits; integers are written in full. `0.00012345` -> `0.0001235`, `1.5e-9` ->
 * `1.5e-9`.
 */
export function formatNumber(value: number): string {
  if (Number.isNaN(value)) return 'not a number';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '-∞';
  if (Number.isInteger(value) && Math.abs(value) < 1e15)
    return value < 0 ? `-${formatCount(-value)}` : formatCount(value);
  const magnitude = Math.abs(value);
  if (magnitude < 1e-4 || magnitude >= 1e15) return String(Number(value.toPrecision(4)));
  if (magnitude >= 1000) return formatNumber(Math.round(value));
  return String(Number(value.toPrecision(4)));
}

/** Formats the label of an axis tick: `20000` -> `20k`, `2500000` -> `2.5M`, `0.00001` -> `1e-5`. */
export function formatTick(value: number): string {
  const magnitude = Math.abs(value);
  if (magnitude >= 1e12 || (magnitude > 0 && magnitude < 1e-3)) return value.toExponential().replace('e+', 'e');
  for (const [unit, size] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const) {
    if (magnitude >= size) return `${trimmed(value / size)}${unit}`;
  }
  return trimmed(value);
}

function trimmed(value: number): string {
  return String(Number(value.toPrecision(10)));
}

/** Formats a duration: `4000` -> `1h 07m`, `75` -> `1m 15s`, `3.2` -> `3s`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${pad(whole % 60)}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}h ${pad(Math.floor((whole % 3600) / 60))}m`;
  return `${Math.floor(whole / 86400)}d ${pad(Math.floor((whole % 86400) / 3600))}h`;
}

/** Formats a duration for a page: `481` -> `8 min 1 s`, `4020` -> `1 h 7 min`, `0.42` -> `0.4 s`. */
export function formatTime(seconds: number): string {
  if (seconds < 9.95) return `${String(Number(Math.max(0, seconds).toFixed(1)))} s`;
  const whole = Math.round(seconds);
  const parts = (large: number, unit: string, small: number, rest: string): string =>
    small > 0 ? `${large} ${unit} ${small} ${rest}` : `${large} ${unit}`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return parts(Math.floor(whole / 60), 'min', whole % 60, 's');
  const minutes = Math.round(whole / 60);
  if (minutes < 1440) return parts(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  const hours = Math.round(minutes / 60);
  return parts(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

const MONTHS = 'January February March April May June July August September October November December'.split(' ');

/** Formats a moment as a day in UTC: `November 27, 2026`. */
export function formatDate(moment: Date): string {
  return `${MONTHS[moment.getUTCMonth()]!} ${moment.getUTCDate()}, ${moment.getUTCFullYear()}`;
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Escapes text for HTML or SVG, in content or in a quoted attribute. Characters that XML forbids become U+FFFD. */
export function escapeMarkup(text: string): string {
  return text.replace(FORBIDDEN, '\ufffd').replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

/** Lone surrogates, control characters other than tab and line ends, and two noncharacters. */
const FORBIDDEN = /\p{Cs}|[^\P{Cc}\t\n\r]|[\ufffe\uffff]/gu;

/** "about 40 seconds", "about 6 minutes", "about 2.5 hours". */
export function durationText(seconds: number): string {
  const of = (value: number, unit: string): string => `about ${value} ${unit}${value === 1 ? '' : 's'}`;
  if (seconds < 90) return of(Math.max(1, Math.round(seconds)), 'second');
  if (seconds < 5400) return of(Math.round(seconds / 60), 'minute');
  return of(Number((seconds / 3600).toPrecision(2)), 'hour');
}

/** The text with its first letter in upper case. */
export const capitalized = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
