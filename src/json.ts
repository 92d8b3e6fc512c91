// JSON as Tesserae reads and writes it: strict when reading, one spelling when writing.
import { CorruptError, TesseraeError, UsageError, messageOf } from './errors.js';
import { excerpt } from './names.js';

const JSON_DEPTH = 64;

/** @throws {CorruptError} E_JSON when the bytes are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new CorruptError('E_JSON', `${where}: expected UTF-8 text, found other bytes.`, { cause: error });
  }
}

/** Whether a value is an object, not an array or null. */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Parses JSON and refuses what `JSON.parse` lets pass silently: duplicate keys, `__proto__` keys, nesting over 64.
 *
 * @throws {CorruptError} E_JSON naming `where`.
 */
export function parseJson(text: string, where: string): unknown {
  try {
    checkStructure(text, where);
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof TesseraeError) throw error;
    throw new CorruptError('E_JSON', `${where}: expected JSON, ${messageOf(error)}.`, { cause: error });
  }
}

/** One pass over the text before it is parsed; by hand, because a regular expression overflows on long strings. */
function checkStructure(text: string, where: string): void {
  const open: (Set<string> | null)[] = []; // one entry a level: the keys of an object, null for an array
  let string: [start: number, end: number] = [0, 0];
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '"') {
      string = [i, endOfString(text, i)];
      i = string[1] - 1;
    } else if (character === '{') open.push(new Set());
    else if (character === '[') open.push(null);
    else if (character === '}' || character === ']') open.pop();
    else if (character === ':') addKey(open.at(-1), text.slice(...string), where);
    if (open.length > JSON_DEPTH)
      throw new CorruptError('E_JSON', `${where}: expected at most ${JSON_DEPTH} levels of nesting, found more.`);
  }
}

/** The offset after the string that starts at `start`, or the end of the text. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const character = text[i];
    if (character === '"') return i + 1;
    if (character === '\\') i++;
  }
  return text.length;
}

function addKey(keys: Set<string> | null | undefined, literal: string, where: string): void {
  const key = JSON.parse(literal) as string;
  if (key === '__proto__') throw new CorruptError('E_JSON', `${where}: expected plain keys, found "__proto__".`);
  if (keys?.has(key)) throw new CorruptError('E_JSON', `${where}: expected each key once, found "${key}" twice.`);
  keys?.add(key);
}

/** JSON with keys sorted at every level and no spaces: equal values give equal text. Refuses what JSON cannot hold. */
export function canonicalJson(value: unknown): string {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new UsageError('E_JSON_NUMBER', `canonicalJson: expected finite numbers, received ${value}.`);
  }
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value ?? null);
  const record = value as Record<string, unknown>;
  const keys = Object.keys(record)
    .filter((key) => record[key] !== undefined)
    .sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonicalJson(record[key])}`).join(',')}}`;
}

/** JSON as Tesserae writes it to disk: two spaces, a final newline. */
export function formatJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** True for values of JSON that are equal at every level, whatever the order of their keys. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && sameJson(left[key], right[key]))
  );
}

/** A field whose value is another one than before. */
interface Difference {
  /** Names of the fields from the outermost one on: `training.steps`. Empty for the values themselves. */
  path: string;
  /** Both values as JSON, shortened for errors. */
  before: string;
  now: string;
}

/** The fields that differ between two values of JSON. `path` names the field that they are. */
export function differences(before: unknown, now: unknown, path = ''): Difference[] {
  if (canonicalJson(before ?? null) === canonicalJson(now ?? null)) return [];
  if (!isRecord(before) || !isRecord(now)) return [{ path, before: jsonExcerpt(before), now: jsonExcerpt(now) }];
  const names = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...names].flatMap((name) => differences(before[name], now[name], path ? `${path}.${name}` : name));
}

const jsonExcerpt = (value: unknown): string => excerpt(String(JSON.stringify(value)));

/** The first four of some differences, for messages: `steps 100, not 200; seed 0, not 1`. */
export const differencesText = (list: readonly Difference[]): string =>
  list
    .slice(0, 4)
    .map(({ path, before, now }) => `${path} ${before}, not ${now}`)
    .join('; ');
