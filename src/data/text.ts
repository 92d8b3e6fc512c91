// Reads text and JSON files that accompany images.
import { InputError, messageOf } from '../errors.js';
import { isRecord } from '../json.js';

/**
 * Decodes UTF-8 and drops a byte order mark.
 *
 * @throws {InputError} E_DATA_TEXT for other encodings, named if they can be detected.
 */
export function utf8(bytes: Uint8Array, source: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new InputError(
      'E_DATA_TEXT',
      `${source}: expected UTF-8 text, found ${encodingOf(bytes)}. Save the file as UTF-8.`,
      { cause: error },
    );
  }
}

function encodingOf(bytes: Uint8Array): string {
  const mark = [...bytes.subarray(0, 2)].map((byte) => byte.toString(16)).join('');
  if (mark === 'fffe' || mark === 'feff') return 'UTF-16';
  return 'another encoding (Windows-1252, perhaps)';
}

/**
 * Reads captions, one per line. Lines are trimmed, and empty lines are dropped.
 *
 * @throws {InputError} E_DATA_TEXT when the bytes are not UTF-8.
 */
export function captionLines(bytes: Uint8Array, source: string): string[] {
  return utf8(bytes, source)
    .split(/\r\n|\n|\r/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/**
 * Maximum depth of nesting. Captions need a few levels; thousands of levels would overflow the stack of recursive
 * functions.
 */
const MAX_DEPTH = 64;

/**
 * Parses one JSON object. NaN and infinities, which Python writes, are read as null.
 *
 * @throws {InputError} E_DATA_METADATA when the text is not a JSON object, or is nested more than 64 levels deep.
 */
export function jsonObject(text: string, source: string): Record<string, unknown> {
  const { plain, depth } = withoutNaN(text);
  if (depth > MAX_DEPTH)
    throw new InputError('E_DATA_METADATA', `${source}: expected at most ${MAX_DEPTH} levels of nesting, found more.`);
  let value: unknown;
  try {
    value = JSON.parse(plain);
  } catch (error) {
    throw new InputError('E_DATA_METADATA', `${source}: expected JSON (${messageOf(error).slice(0, 120)}).`, {
      cause: error,
    });
  }
  if (!isRecord(value)) {
    throw new InputError('E_DATA_METADATA', `${source}: expected a JSON object, found ${shown(value)}.`);
  }
  return value;
}

/** Returns the start of a value as JSON, for errors. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

/** Replaces NaN and infinities outside of strings by null and measures the depth of nesting, in one pass. */
function withoutNaN(text: string): { plain: string; depth: number } {
  const pieces: string[] = [];
  let [from, depth, deepest] = [0, 0, 0];
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === '"') at = endOfString(text, at);
    else if (character === '{' || character === '[') deepest = Math.max(deepest, ++depth);
    else if (character === '}' || character === ']') depth--;
    else if (character === 'N' || character === 'I' || character === '-') {
      const word = ['NaN', '-NaN', '-Infinity', 'Infinity'].find((name) => text.startsWith(name, at));
      if (word === undefined) continue;
      pieces.push(text.slice(from, at), 'null');
      from = at + word.length;
      at = from - 1;
    }
  }
  pieces.push(text.slice(from));
  return { plain: pieces.join(''), depth: deepest };
}

/** Returns the position of the quote that closes the string starting at `start`, or the end of the text. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '"') return at;
    if (text[at] === '\\') at++;
  }
  return text.length;
}
