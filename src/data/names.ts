// Names of files inside a dataset: converts bytes in any encoding, from any system, to one form.

/** A name as text, and whether it was valid UTF-8. */
export interface DecodedName {
  text: string;
  utf8: boolean;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const WINDOWS_1252 = new TextDecoder('windows-1252');

/**
 * Decodes a name. Names that are not UTF-8 (from old archives and disks) are read as Windows-1252, which maps every
 * byte to a character.
 */
export function decodeName(bytes: Uint8Array): DecodedName {
  // Buffer decodes short texts several times faster than TextDecoder, and marks invalid UTF-8.
  const quick = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  if (!quick.includes('\ufffd')) return { text: quick, utf8: true };
  try {
    return { text: UTF8.decode(bytes), utf8: true };
  } catch {
    return { text: WINDOWS_1252.decode(bytes), utf8: false };
  }
}

/** ASCII without control characters and backslashes, which covers most names. */
const PLAIN = /^[\x20-\x5b\x5d-\x7e]+$/;

/** A path with an empty part, a part made only of dots, or a drive. */
const LEADS_AWAY = /(^|\/)\.{0,2}(\/|$)|^[A-Za-z]:/;

/**
 * Returns the path of a file inside its dataset: separated by `/`, in composed Unicode (NFC), without control
 * characters, and without anything that would lead out of a folder to which it is written later (a leading `/`, a
 * drive, `..`).
 *
 * @returns An empty string if nothing is left.
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

/** Returns the last part of a path. */
export function fileName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/**
 * Returns the part of a file name after its last dot, in lower case. Empty if there is no dot, or only a leading one.
 */
export function extensionOf(path: string): string {
  const dot = path.lastIndexOf('.');
  return dot > path.lastIndexOf('/') + 1 ? path.slice(dot + 1).toLowerCase() : '';
}

/** Returns the path without its extension. */
export function stemOf(path: string): string {
  const extension = extensionOf(path);
  return extension === '' ? path : path.slice(0, -extension.length - 1);
}

/** Returns the path up to the first dot of the file name, which WebDataset calls a sample's key. */
export function keyOf(path: string): string {
  const dot = path.indexOf('.', path.lastIndexOf('/') + 2);
  return dot < 0 ? path : path.slice(0, dot);
}

/** Whether a file is hidden, or created by macOS or network storage next to the real files. */
export function isHidden(path: string): boolean {
  return /(^|\/)(\.|__MACOSX(\/|$)|@eaDir(\/|$))/.test(path);
}
