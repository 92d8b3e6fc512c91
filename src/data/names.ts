// Names of files inside a dataset: bytes of any encoding, of any system, brought to one form.

/** A name as text, and whether it was UTF-8. */
export interface DecodedName {
  text: string;
  utf8: boolean;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const WINDOWS_1252 = new TextDecoder('windows-1252');

/** Decodes a name. What is not UTF-8 (old archives, old disks) is read as Windows-1252, which gives every byte a character. */
export function decodeName(bytes: Uint8Array): DecodedName {
  // Buffer decodes short texts several times faster than TextDecoder, and marks what is not UTF-8.
  const quick = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  if (!quick.includes('\ufffd')) return { text: quick, utf8: true };
  try {
    return { text: UTF8.decode(bytes), utf8: true };
  } catch {
    return { text: WINDOWS_1252.decode(bytes), utf8: false };
  }
}

/** ASCII without control characters and backslashes: most names. */
const PLAIN = /^[\x20-\x5b\x5d-\x7e]+$/;

/** A part that is empty or made of dots alone, or a drive. */
const LEADS_AWAY = /(^|\/)\.{0,2}(\/|$)|^[A-Za-z]:/;

/**
 * The path of a file inside its dataset: `/` between folders, Unicode in composed form (NFC), no control characters, and
 * nothing that would lead out of a folder it is written into later (a leading `/`, a drive, `..`).
 *
 * @returns an empty string when nothing is left.
 */
export function insidePath(name: string): string {
  if (PLAIN.test(name) && !LEADS_AWAY.test(name)) return name;
  const parts = name
    .normalize('NFC')
    .replaceAll('\\', '/')
    .replace(/^[A-Za-z]:(?=\/)/, '')
    .replace(/\p{Cc}/gu, '_')
    .split('/');
  return parts
    .filter((part) => part !== '' && part !== '.' && part !== '..')
    .join('/')
    .replace(/^([A-Za-z]):/, '$1_');
}

/** The last part of a path. */
export function fileName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** What stands after the last dot of a file's name, in lower case; empty without a dot or with only a leading one. */
export function extensionOf(path: string): string {
  const dot = path.lastIndexOf('.');
  return dot > path.lastIndexOf('/') + 1 ? path.slice(dot + 1).toLowerCase() : '';
}

/** The path without its extension. */
export function stemOf(path: string): string {
  const extension = extensionOf(path);
  return extension === '' ? path : path.slice(0, -extension.length - 1);
}

/** The path up to the first dot of the file's name: what WebDataset calls a sample's key. */
export function keyOf(path: string): string {
  const dot = path.indexOf('.', path.lastIndexOf('/') + 2);
  return dot < 0 ? path : path.slice(0, dot);
}

/** Hidden files, and what macOS and network disks put beside the real ones. */
export function isHidden(path: string): boolean {
  return /(^|\/)(\.|__MACOSX(\/|$)|@eaDir(\/|$))/.test(path);
}
