// Which picture a file beside it belongs to, and what it says.
import { InputError } from '../errors.js';
import { CAPTION_EXTENSIONS, MAX_TEXT, type DataFile } from './listing.js';
import { extensionOf, keyOf, stemOf } from './names.js';
import { describeRow, type Described } from './rows.js';
import type { Tally } from './tally.js';
import { captionLines, jsonObject, utf8 } from './text.js';

/** A caption that a file or a cell of metadata holds. Several pictures may share it. */
export interface CaptionSource {
  captions: readonly string[];
  /** Where it came from, for people: `.txt`, `column text`. */
  label: string;
  /** Names it in the summary. */
  example: string;
  used: boolean;
}

/** A file beside a picture. */
export interface Sidecar {
  file: DataFile;
  extension: string;
  /** Set once it is read; of `.json`, one for each caption column. */
  captions: CaptionSource[];
  label?: string | number;
  split?: string;
  /** The error it was refused with, kept until it is known whether the picture can do without it. */
  problem?: unknown;
  /** True when that error was told: the file is in the account already. */
  rejected?: boolean;
  /** True once it gave a sample anything. */
  used: boolean;
}

/** More pictures of one key than this are no fields of a sample: their names have a dot by chance (`frame.0001.png`). */
export const MAX_FIELDS = 16;

/** Finds pictures by the names that files beside them may have. */
export class PictureIndex {
  private readonly byStem = new Map<string, string[]>();
  private readonly byKey = new Map<string, string[]>();
  private readonly paths: ReadonlySet<string>;

  /** @param byKey whether files are joined by the name before the first dot, as WebDataset does. */
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

  /** Pictures that a text belongs to: `a.png` of `a.txt` and of `a.png.txt`, in archives also `a.left.png` of `a.json`. */
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

/** Reads a sidecar. What is wrong with it becomes its `problem`. @param column the caption column of `.json` in place of the usual ones. */
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

/** A source for each caption column of a row. */
export function cellSources({ captions }: Described, example: string, kind: string): CaptionSource[] {
  return captions.map((cell) => ({
    captions: cell.captions,
    label: `${kind}column ${cell.column}`,
    example,
    used: false,
  }));
}

/** Sidecars of one picture, those whose captions are preferred first. */
export function byPreference(sidecars: readonly Sidecar[]): Sidecar[] {
  const rank = ({ extension }: Sidecar): number => {
    const at = (CAPTION_EXTENSIONS as readonly string[]).indexOf(extension);
    return extension === 'json' ? CAPTION_EXTENSIONS.length + 1 : at < 0 ? CAPTION_EXTENSIONS.length : at;
  };
  return [...sidecars].sort((a, b) => rank(a) - rank(b) || (a.file.path < b.file.path ? -1 : 1));
}

/** Enters a sidecar into the account, once it is known what became of it. */
export function account({ file, extension, captions, label, problem, rejected, used }: Sidecar, tally: Tally): void {
  for (const source of captions) {
    if (source.used) tally.useCaption(source.label);
    else tally.unusedCaptions.add(`captions of ${source.label} not used`, source.example);
  }
  if (problem !== undefined && extension !== 'cls')
    tally.unusedCaptions.add(`captions of .${extension} that cannot be read`, file.path);
  if (rejected) return;
  if (used) tally.texts++;
  else if (problem !== undefined)
    tally.leftOut.add(`.${extension} files that cannot be used, beside other captions`, file.path);
  else if (captions.length === 0 && label === undefined)
    tally.leftOut.add(`.${extension} files without a caption or class`, file.path);
  else tally.leftOut.add(`.${extension} files not used`, file.path);
}
