// Sidecars: files that describe the image of the same name.
import { InputError } from '../errors.js';
import { CAPTION_EXTENSIONS, MAX_TEXT, type DataFile } from './listing.js';
import { extensionOf, keyOf, stemOf } from './names.js';
import { describeRow, type Described } from './rows.js';
import type { Tally } from './tally.js';
import { captionLines, jsonObject, utf8 } from './text.js';

/** A caption in a file or in a metadata cell. Several images may share it. */
export interface CaptionSource {
  captions: readonly string[];
  /** Origin of the caption, for people: `.txt`, `column text`. */
  label: string;
  /** An example for the summary. */
  example: string;
  used: boolean;
}

/** A file that describes the image of the same name. */
export interface Sidecar {
  file: DataFile;
  extension: string;
  /** Set once the file is read. A `.json` has one source per caption column. */
  captions: CaptionSource[];
  label?: string | number;
  split?: string;
  /** The error that reading the file caused. It is kept until it is known whether the image can do without the file. */
  problem?: unknown;
  /** Whether that error has been reported, so that the file is already in the tally. */
  rejected?: boolean;
  /** Whether it contributed anything to a sample. */
  used: boolean;
}

/**
 * If more images than this share a key, they are not fields of one sample: their names contain a dot by chance
 * (`frame.0001.png`).
 */
export const MAX_FIELDS = 16;

/** Finds images by the names that their sidecars may have. */
export class MediaIndex {
  private readonly byStem = new Map<string, string[]>();
  private readonly byKey = new Map<string, string[]>();
  private readonly paths: ReadonlySet<string>;

  /** @param joinsByKey Whether files are matched by the part of their name before the first dot, as WebDataset does. */
  constructor(
    paths: readonly string[],
    private readonly joinsByKey: boolean,
  ) {
    this.paths = new Set(paths);
    for (const path of paths) {
      push(this.byStem, stemOf(path), path);
      if (joinsByKey) push(this.byKey, keyOf(path), path);
    }
  }

  /**
   * Returns the images that a text file describes: `a.txt` and `a.png.txt` describe `a.png`; in archives, `a.json` also
   * describes `a.left.png`.
   */
  ownersOf(path: string): readonly string[] {
    const stem = stemOf(path);
    const exact = this.byStem.get(stem) ?? (this.paths.has(stem) ? [stem] : undefined);
    if (exact || !this.joinsByKey) return exact ?? [];
    const fields = this.byKey.get(keyOf(path)) ?? [];
    return fields.length <= MAX_FIELDS ? fields : [];
  }
}

function push(map: Map<string, string[]>, key: string, value: string): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

/**
 * Reads a sidecar. Errors are stored as its `problem`.
 *
 * @param column Caption column of `.json` to use instead of the usual ones.
 */
export async function readSidecar(file: DataFile, column: string | undefined, columns: Set<string>): Promise<Sidecar> {
  const extension = extensionOf(file.path);
  const sidecar: Sidecar = { file, extension, captions: [], used: false };
  try {
    if (file.bytes > MAX_TEXT)
      throw new InputError(
        'E_DATA_TEXT',
        `${file.where}: expected at most ${MAX_TEXT} bytes of text, found ${file.bytes}.`,
      );
    const bytes = await file.read();
    if (extension === 'cls') sidecar.label = utf8(bytes, file.where).trim() || undefined;
    else if (extension === 'json') addJson(sidecar, jsonObject(utf8(bytes, file.where), file.where), column, columns);
    else addText(sidecar, captionLines(bytes, file.where));
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    sidecar.problem = error;
  }
  return sidecar;
}

function addText(sidecar: Sidecar, captions: string[]): void {
  if (captions.length > 0)
    sidecar.captions.push({ captions, label: `.${sidecar.extension}`, example: sidecar.file.path, used: false });
}

function addJson(
  sidecar: Sidecar,
  row: Record<string, unknown>,
  column: string | undefined,
  columns: Set<string>,
): void {
  for (const name of Object.keys(row)) columns.add(name);
  const described = describeRow(row, sidecar.file.where, column);
  sidecar.captions.push(...cellSources(described, sidecar.file.path, '.json '));
  sidecar.label = described.label;
  sidecar.split = described.split;
}

/** Returns one source for each caption column of a row. */
export function cellSources({ captions }: Described, example: string, kind: string): CaptionSource[] {
  return captions.map((cell) => ({
    captions: cell.captions,
    label: `${kind}column ${cell.column}`,
    example,
    used: false,
  }));
}

/** Sorts the sidecars of an image by preference of their captions. */
export function byPreference(sidecars: readonly Sidecar[]): Sidecar[] {
  const rank = ({ extension }: Sidecar): number => {
    const at = (CAPTION_EXTENSIONS as readonly string[]).indexOf(extension);
    return extension === 'json' ? CAPTION_EXTENSIONS.length + 1 : at < 0 ? CAPTION_EXTENSIONS.length : at;
  };
  return [...sidecars].sort((a, b) => rank(a) - rank(b) || (a.file.path < b.file.path ? -1 : 1));
}

/** Adds a sidecar to the tally, once it is known whether it was used. */
export function recordSidecar(
  { file, extension, captions, label, problem, rejected, used }: Sidecar,
  tally: Tally,
): void {
  for (const source of captions) {
    if (source.used) tally.useCaption(source.label);
    else tally.unusedCaptions.add(`captions of ${source.label} not used`, source.example);
  }
  if (problem !== undefined && extension !== 'cls')
    tally.unusedCaptions.add(`captions of .${extension} that cannot be read`, file.path);
  if (rejected) return;
  if (used) tally.texts++;
  else if (problem !== undefined)
    tally.leftOut.add(`.${extension} files that cannot be used, next to other captions`, file.path);
  else if (captions.length === 0 && label === undefined)
    tally.leftOut.add(`.${extension} files without a caption or class`, file.path);
  else tally.leftOut.add(`.${extension} files not used`, file.path);
}
