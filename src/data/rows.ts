// Interprets rows of metadata and JSON files that belong to images.
import { InputError } from '../errors.js';
import type { RawLabel } from './labels.js';
import { shown } from './text.js';

export type Row = Readonly<Record<string, unknown>>;

/** Caption columns in order of preference. Names are compared without regard to case. */
const CAPTION_COLUMNS = [
  'text',
  'caption',
  'captions',
  'prompt',
  'prompts',
  'transcription',
  'description',
  'alt',
  'alt_text',
  'title',
];

/** Columns that contain the class. */
const LABEL_COLUMNS = ['label', 'cls', 'class', 'category'];

/**
 * Columns that contain image paths, by the convention of Hugging Face's imagefolder. If there are none, the first of
 * the other columns that exists is used.
 */
const FILE_COLUMN = /^(.*_)?file_names?$/;
const OTHER_FILE_COLUMNS = ['filename', 'file', 'image', 'image_path', 'path'];

const SPLIT_COLUMN = 'split';

/** A caption column of a row, and its captions. */
export interface CaptionCell {
  column: string;
  captions: string[];
}

/** What a row says about its images. */
export interface Described {
  /** All caption columns, in order of preference, or only the requested one. */
  captions: CaptionCell[];
  label?: RawLabel;
  /** The split as written. */
  split?: string;
}

/**
 * Extracts captions, class and split from a row.
 *
 * @param column Caption column to use instead of the usual ones.
 * @throws {InputError} E_DATA_METADATA when a value has an unsupported type.
 */
export function describeRow(row: Row, source: string, column?: string): Described {
  const names = column === undefined ? CAPTION_COLUMNS : [column];
  const cells = names.flatMap((name) => {
    const key = columnOf(row, name);
    return key === undefined ? [] : [{ column: key, captions: captionsIn(row[key], source, 0) }];
  });
  return {
    captions: cells.filter(({ captions }) => captions.length > 0),
    label: labelOf(row, source),
    split: splitOf(row),
  };
}

/**
 * Returns the paths of the images that a row describes, as written.
 *
 * @throws {InputError} E_DATA_METADATA when there is none, or a path is not text.
 */
export function filesOf(row: Row, source: string): string[] {
  const usual = Object.keys(row).filter((name) => FILE_COLUMN.test(name.trim().toLowerCase()));
  const columns =
    usual.length > 0
      ? usual
      : OTHER_FILE_COLUMNS.map((name) => columnOf(row, name))
          .filter((name) => name !== undefined)
          .slice(0, 1);
  const files = columns
    .flatMap((name) => (Array.isArray(row[name]) ? (row[name] as unknown[]) : [row[name]]))
    .filter((file) => file !== null && file !== undefined && file !== '');
  if (files.length === 0)
    throw new InputError(
      'E_DATA_METADATA',
      `${source}: expected a column file_name with the path of an image, found ${Object.keys(row).slice(0, 10).join(', ') || 'nothing'}.`,
    );
  const wrong = files.find((file) => typeof file !== 'string');
  if (wrong !== undefined)
    throw new InputError('E_DATA_METADATA', `${source}: expected the path of an image as text, found ${shown(wrong)}.`);
  return files as string[];
}

/** Whether a column describes images. Other columns need not be read. */
export function isKnownColumn(name: string): boolean {
  const plain = name.trim().toLowerCase();
  return (
    FILE_COLUMN.test(plain) ||
    [...OTHER_FILE_COLUMNS, ...CAPTION_COLUMNS, ...LABEL_COLUMNS, SPLIT_COLUMN].includes(plain)
  );
}

/** Returns a row's own spelling of a column name. */
function columnOf(row: Row, name: string): string | undefined {
  if (Object.hasOwn(row, name)) return name;
  return Object.keys(row).find((key) => key.trim().toLowerCase() === name.toLowerCase());
}

/**
 * Returns the captions in a cell: a text, a list of texts, or objects with a caption column (as in COCO's annotations).
 */
function captionsIn(cell: unknown, source: string, depth: number): string[] {
  if (cell === null || cell === undefined) return [];
  if (typeof cell === 'string') return isMissing(cell) ? [] : [cell.trim()];
  if (typeof cell === 'number') return [String(cell)];
  if (Array.isArray(cell) && depth < 4) return cell.flatMap((item) => captionsIn(item, source, depth + 1));
  const inner =
    typeof cell === 'object' && depth < 4
      ? Object.entries(cell).filter(([name]) => [...CAPTION_COLUMNS, 'raw', 'sentence'].includes(name.toLowerCase()))
      : [];
  if (inner.length === 0)
    throw new InputError('E_DATA_METADATA', `${source}: expected captions as text, found ${shown(cell)}.`);
  return captionsIn(inner[0]![1], source, depth + 1);
}

function labelOf(row: Row, source: string): RawLabel | undefined {
  const key = LABEL_COLUMNS.map((name) => columnOf(row, name)).find(
    (name) => name !== undefined && row[name] !== null && row[name] !== undefined && !isMissing(row[name]),
  );
  if (key === undefined) return undefined;
  const label = row[key];
  if (typeof label === 'bigint') return String(label);
  if (typeof label !== 'string' && typeof label !== 'number')
    throw new InputError('E_DATA_METADATA', `${source}: expected a label as text or number, found ${shown(label)}.`);
  // Tables write integers as 3.0 if a value in the column is missing.
  return typeof label === 'string' ? label.trim().replace(/^(\d+)\.0+$/, '$1') : label;
}

/** Whether a cell is empty, or contains what tables write for a missing value. */
function isMissing(cell: unknown): boolean {
  return typeof cell === 'string' && /^(nan)?$/i.test(cell.trim());
}

function splitOf(row: Row): string | undefined {
  const key = columnOf(row, SPLIT_COLUMN);
  const split = key === undefined ? undefined : row[key];
  return typeof split === 'string' && split !== '' ? split : undefined;
}
