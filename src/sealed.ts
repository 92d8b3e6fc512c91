// JSON files that carry a sha256 over themselves, so that no flipped bit of them passes: the last field, `sha256`, is the
// hash of the file's text as it would be without that field, and the text has one valid spelling.
import { CorruptError } from './errors.js';
import { formatJson, isRecord } from './json.js';
import { sha256 } from './hash.js';

/** The text of a JSON file with its own hash as the last field. */
export function sealJson(fields: object): string {
  const plain = JSON.parse(JSON.stringify(fields)) as object;
  return formatJson({ ...plain, sha256: sha256(formatJson(plain)) });
}

/**
 * The fields of a file that {@link sealJson} wrote, without the hash.
 *
 * @param text  the file's text. @param value what it parses to.
 * @param sealed whether the file's format requires the hash; a file that has one is checked in any case.
 * @param remedy what to do about a file that does not match.
 * @throws {CorruptError} with `code` unless the text is the one that the hash stands for.
 */
export function unsealJson(
  text: string,
  value: unknown,
  { where, code, sealed, remedy }: { where: string; code: string; sealed: boolean; remedy: string },
): unknown {
  const isSealed = isRecord(value) && Object.hasOwn(value, 'sha256');
  if (!isSealed && !sealed) return value;
  const { sha256: stored, ...fields } = (isSealed ? value : {}) as Record<string, unknown>;
  if (!isSealed || stored !== sha256(formatJson(fields)) || text !== formatJson({ ...fields, sha256: stored })) {
    throw new CorruptError(code, `${where}: expected the text that its sha256 stands for, it was changed. ${remedy}`);
  }
  return fields;
}

/** Whether a version such as "1.1" is at least that minor version of the same major one; false for anything else. */
export function isAtLeast(version: unknown, least: string): boolean {
  const [major, minor] = numbersOf(version);
  const [leastMajor, leastMinor] = numbersOf(least);
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}

function numbersOf(version: unknown): [major: number, minor: number] {
  const [, major, minor] = /^(\d+)\.(\d+)$/.exec(String(version)) ?? [];
  return [Number(major), Number(minor)];
}
