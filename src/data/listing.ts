// What a folder and an archive have in common: a list of files, each of which can be read.
import { InputError } from '../errors.js';

/** A file of a dataset. */
export interface DataFile {
  /** Path inside the folder or archive: `/` between folders, composed Unicode, nothing that leads out of it. */
  readonly path: string;
  readonly bytes: number;
  /** Where it is, for errors: a path, or `archive.tar:member`. */
  readonly where: string;
  /** @throws {InputError}, {IoError} when it cannot be read. */
  read(): Promise<Uint8Array>;
}

/** Bound on any file of a dataset. */
const MAX_FILE = 1 << 28;

/** Refuses a file before it is read, by its size. @throws {InputError} E_IMAGE_TOO_LARGE. */
export function expectSize({ where, bytes }: { where: string; bytes: number }): void {
  if (bytes > MAX_FILE)
    throw new InputError(
      'E_IMAGE_TOO_LARGE',
      `${where}: expected at most ${MAX_FILE} bytes, found ${bytes}. Shrink it first.`,
    );
}

/** The files of one folder or of one archive: what lies beside each other belongs together. */
export interface Listing {
  /** Empty, or what the keys of its samples begin with. */
  prefix: string;
  /** Name of the archive without its extension; undefined for a folder. */
  archive?: string;
  /** Sorted by path, or in the order of the archive. */
  files: readonly DataFile[];
}

/** Extensions of files that hold captions, one a line, best first. */
export const CAPTION_EXTENSIONS = ['txt', 'caption', 'captions', 'text'] as const;

/** Extensions of files that say something of the picture they lie beside. */
export const SIDECAR_EXTENSIONS: ReadonlySet<string> = new Set([...CAPTION_EXTENSIONS, 'json', 'cls']);

/** True for the path of a table with a row for each picture. */
export function isMetadata(path: string): boolean {
  return /(^|\/)metadata\.(csv|tsv|jsonl|ndjson|parquet)$/i.test(path);
}

/** Bound on a text beside a picture. */
export const MAX_TEXT = 1 << 20;

/** Bound on a table of metadata. */
export const MAX_METADATA = 1 << 28;
