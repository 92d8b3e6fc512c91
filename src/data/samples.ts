// Builds samples from the files of folders or archives: each file of the medium with its captions, class and split.
import { InputError, UsageError } from '../errors.js';
import { listNames, withArticle } from '../names.js';
import type { AnyMedium } from '../media/medium.js';
import { mapLimit } from './concurrency.js';
import type { Entry } from './indexed.js';
import { isMetadata, SIDECAR_EXTENSIONS, type DataFile, type Listing } from './listing.js';
import { readMetadata } from './metadata.js';
import { extensionOf, fileName, keyOf, stemOf } from './names.js';
import { isKnownColumn, type Described } from './rows.js';
import {
  byPreference,
  cellSources,
  MAX_FIELDS,
  MediaIndex,
  readSidecar,
  recordSidecar,
  type CaptionSource,
  type Sidecar,
} from './sidecars.js';
import type { Tally } from './tally.js';

/** Number of text files read concurrently. */
const AT_ONCE = 16;

/** A file of a folder or archive that is a sample. */
export interface MediaEntry extends Entry {
  file: DataFile;
  /** Name of the archive without its extension. */
  archive?: string;
  /** Value of the split column in its metadata row or `.json`. */
  splitName?: string;
  /** Whether a metadata row describes it. */
  hasRow: boolean;
  /** Where its captions came from. */
  sources: readonly CaptionSource[];
  /** Files with its name that were used. */
  sidecars: readonly Sidecar[];
}

/** The source of captions, as selected by `--captions`. */
export interface CaptionChoice {
  /** A column of metadata or `.json`, or a file extension. */
  column?: string;
  /** Extension in lower case, without the dot. */
  extension?: string;
  /** Uses the file name as caption. */
  fileName?: boolean;
}

/** Parses the `captions` option. */
function captionChoice(captions: string | undefined): CaptionChoice {
  if (captions === undefined) return {};
  if (captions.toLowerCase() === 'filename') return { fileName: true };
  if (captions.startsWith('.')) return { extension: captions.slice(1).toLowerCase() };
  return { column: captions, extension: captions.toLowerCase() };
}

/** The samples of one or more listings before they are split. */
export interface Collected {
  entries: MediaEntry[];
  /** Adds the captions and sidecar files to the tally, given the entries that became samples. */
  updateTally(samples: readonly MediaEntry[]): void;
}

/**
 * Collects the samples of listings.
 *
 * @param isArchive Matches files by the part of their name before the first dot, as WebDataset does.
 * @throws {InputError} E_DATA_DUPLICATE, E_DATA_METADATA, E_DATA_TEXT.
 * @throws {UsageError} E_DATA_CAPTIONS.
 */
export async function collectSamples(
  listings: readonly Listing[],
  isArchive: boolean,
  captions: string | undefined,
  tally: Tally,
): Promise<Collected> {
  const choice = captionChoice(captions);
  const collectors: Collector[] = [];
  for (const listing of listings) {
    const collector = new Collector(listing, isArchive, choice, tally);
    await collector.collect();
    collectors.push(collector);
  }
  const entries = collectors.flatMap((collector) => collector.entries);
  if (captions !== undefined && entries.length > 0 && entries.every((entry) => entry.captions.length === 0))
    throw choiceError(captions, collectors);
  return {
    entries,
    updateTally: (samples) => {
      for (const { sources, sidecars } of samples) {
        for (const source of sources) source.used = true;
        for (const sidecar of sidecars) sidecar.used = true;
      }
      for (const collector of collectors) collector.updateTally();
    },
  };
}

function choiceError(captions: string, collectors: readonly Collector[]): UsageError {
  const list = (names: Iterable<string>): string => listNames([...new Set(names)].sort()) || 'none';
  if (captions.toLowerCase() === 'filename')
    return new UsageError(
      'E_DATA_CAPTIONS',
      'captions: expected file names with words in them, found none. Choose another source of captions.',
    );
  const columns = list(collectors.flatMap((one) => [...one.columns]));
  const extensions = list(collectors.flatMap((one) => [...one.extensions].map((name) => `.${name}`)));
  return new UsageError(
    'E_DATA_CAPTIONS',
    `captions: expected "filename", a column (available: ${columns}) or an extension of text files (available: ${extensions}), received "${captions}", which gives no ${collectors[0]!.noun.one} a caption.`,
  );
}

/** Collects the samples of one listing. */
class Collector {
  readonly entries: MediaEntry[] = [];
  readonly columns = new Set<string>();
  readonly extensions = new Set<string>();
  private readonly sidecars: Sidecar[] = [];
  private readonly rowSources: CaptionSource[] = [];

  constructor(
    private readonly listing: Listing,
    private readonly isArchive: boolean,
    private readonly choice: CaptionChoice,
    private readonly tally: Tally,
  ) {}

  get noun(): AnyMedium['noun'] {
    return this.tally.medium.noun;
  }

  async collect(): Promise<void> {
    const media = this.media();
    const present = new Set(media.map(({ path }) => path));
    const { rows, unusable, columns } = await readMetadata(this.listing.files, present, this.choice.column, this.tally);
    for (const column of columns) this.columns.add(column);
    const beside = await this.readSidecars(new MediaIndex([...present], this.isArchive));
    this.warnOfColumns(rows, beside);
    const keys = keysOf(media);
    const crowd = sharedKeys(media, this.isArchive);
    media.forEach((file, i) => {
      const row = rows.get(file.path);
      const own = byPreference(beside.get(file.path) ?? []);
      if (unusable.has(file.path))
        this.tally.leftOut.add(`${this.noun.many} whose metadata cannot be used`, file.path, true);
      else this.add(file, keys[i]!, crowd.has(keyOf(file.path)), row, own);
    });
  }

  private add(
    file: DataFile,
    key: string,
    isCrowded: boolean,
    row: Described | undefined,
    own: readonly Sidecar[],
  ): void {
    const { prefix, archive } = this.listing;
    const cells = row ? cellSources(row, file.path, '') : [];
    this.rowSources.push(...cells);
    const captions = this.captionsOf(file, cells, own);
    // A .json that cannot be used is ignored if another file has a caption.
    const broken = own.find(
      ({ problem, extension }) => problem !== undefined && !(extension === 'json' && captions.length > 0),
    );
    if (broken) {
      if (!broken.rejected) this.tally.reject(broken.file.path, broken.problem);
      broken.rejected = true;
      return this.tally.leftOut.add(`${this.noun.many} whose caption or class cannot be read`, file.path, true);
    }
    const labeled = row?.label === undefined ? labeledBy(own) : undefined;
    const split = own.find((one) => one.split !== undefined);
    this.entries.push({
      key: prefix + key,
      group: isCrowded ? prefix + keyOf(file.path) : undefined,
      captions: captions.flatMap((source) => source.captions),
      label: row?.label ?? labeled?.label,
      bytes: file.bytes,
      file,
      archive,
      splitName: row?.split ?? split?.split,
      hasRow: row !== undefined,
      sources: captions,
      sidecars: own.filter(
        (one) => one === labeled || one === split || one.captions.some((source) => captions.includes(source)),
      ),
    });
  }

  /**
   * Warns about tables and `.json` files without a known column: the user may know which column contains the captions.
   */
  private warnOfColumns(rows: ReadonlyMap<string, Described>, beside: ReadonlyMap<string, readonly Sidecar[]>): void {
    const says = ({ captions, label }: { captions: readonly unknown[]; label?: unknown }): boolean =>
      captions.length > 0 || label !== undefined;
    const jsons = [...beside.values()]
      .flat()
      .filter(({ extension, problem }) => extension === 'json' && problem === undefined);
    const silent = rows.size + jsons.length > 0 && ![...rows.values(), ...jsons].some(says);
    const others = [...this.columns].filter((name) => !isKnownColumn(name));
    if (!silent || others.length === 0 || this.choice.column !== undefined) return;
    this.tally.warnings.push(
      `The metadata of ${rows.size + jsons.length} ${this.noun.many} has no known caption or class column; its columns are ${listNames(others, 5)}. Use --captions ${others[0]!} to select that one.`,
    );
  }

  /** Adds all captions and sidecar files to the tally. */
  updateTally(): void {
    for (const sidecar of this.sidecars) recordSidecar(sidecar, this.tally);
    for (const source of this.rowSources) {
      if (source.used) this.tally.useCaption(source.label);
      else this.tally.unusedCaptions.add(`captions in ${source.label} not used`, source.example);
    }
  }

  /** Returns the images that are samples. Text files are handled as sidecars and tables; other files are skipped. */
  private media(): DataFile[] {
    const media = this.listing.files.filter(({ path }) => this.isSample(path));
    for (const { path } of this.listing.files) {
      const extension = extensionOf(path);
      if (this.isSample(path) || this.isSidecar(path) || isMetadata(path)) continue;
      this.tally.leftOut.add(reasonFor(extension, this.noun.many), path);
    }
    return this.isArchive ? this.withoutCompanions(media) : media;
  }

  private isSample(path: string): boolean {
    return this.tally.medium.files.extensions.has(extensionOf(path));
  }

  private isSidecar(path: string): boolean {
    const extension = extensionOf(path);
    return SIDECAR_EXTENSIONS.has(extension) || (extension !== '' && extension === this.choice.extension);
  }

  /**
   * Removes images that accompany another one: by convention `key.mask.png` belongs to `key.png`. `22.05.png` is a
   * sample, and so is `v1.2_cat.png` if there is no `v1.png`.
   */
  private withoutCompanions(media: readonly DataFile[]): DataFile[] {
    const stems = new Map<string, string>();
    return media
      .filter(({ path, where }) => {
        const stem = stemOf(path);
        const other = stems.get(stem);
        stems.set(stem, path);
        if (other === undefined) return true;
        this.tally.reject(
          path,
          new InputError(
            'E_DATA_DUPLICATE',
            `${where}: expected one ${this.noun.one} for key "${stem}", found "${fileName(other)}" too.`,
          ),
        );
        return false;
      })
      .filter(({ path }) => {
        const key = keyOf(path);
        const field = stemOf(path).slice(key.length + 1);
        if (!stems.has(key) || !/^[a-z][a-z_-]*\d*$/i.test(field)) return true;
        this.tally.leftOut.add(
          `additional ${this.noun.many} with the same key, such as masks (KEY.${field.toLowerCase()}.${extensionOf(path)})`,
          path,
        );
        return false;
      });
  }

  /** Returns the sidecar files by the path of their image. */
  private async readSidecars(index: MediaIndex): Promise<Map<string, Sidecar[]>> {
    const files = this.listing.files.filter(({ path }) => this.isSidecar(path));
    const owned = files.map((file) => ({ file, owners: index.ownersOf(file.path) }));
    for (const { file, owners } of owned) {
      this.extensions.add(extensionOf(file.path));
      if (owners.length > 0) continue;
      this.tally.leftOut.add(
        `.${extensionOf(file.path)} files without ${withArticle(this.noun.one)} of the same name`,
        file.path,
      );
      if (extensionOf(file.path) !== 'cls')
        this.tally.unusedCaptions.add(
          `.${extensionOf(file.path)} files without ${withArticle(this.noun.one)} of the same name`,
          file.path,
        );
    }
    const read = await mapLimit(
      owned.filter(({ owners }) => owners.length > 0),
      AT_ONCE,
      async ({ file, owners }) => ({ owners, sidecar: await readSidecar(file, this.choice.column, this.columns) }),
    );
    const beside = new Map<string, Sidecar[]>();
    for (const { owners, sidecar } of read) {
      this.sidecars.push(sidecar);
      for (const owner of owners) beside.set(owner, [...(beside.get(owner) ?? []), sidecar]);
    }
    return beside;
  }

  /** Returns the sources of an image's captions: of all available ones, the most preferred. */
  private captionsOf(file: DataFile, cells: readonly CaptionSource[], own: readonly Sidecar[]): CaptionSource[] {
    const { fileName: byName, column, extension } = this.choice;
    if (byName) {
      const source = { captions: captionOfName(file.path), label: 'file names', example: file.path, used: false };
      this.rowSources.push(source);
      return [source];
    }
    const jsons = own.filter((one) => one.extension === 'json').flatMap(({ captions }) => captions.slice(0, 1));
    const texts = own.filter(
      (one) =>
        one.extension !== 'json' && one.captions.length > 0 && (extension === undefined || one.extension === extension),
    );
    const sameKind = texts.filter((one) => one.extension === texts[0]!.extension).flatMap(({ captions }) => captions);
    // If a column was requested, cells contain only that column.
    const fromCells = extension !== undefined && column === undefined ? [] : cells.slice(0, 1);
    const fromJson = extension !== undefined && column === undefined ? [] : jsons.slice(0, 1);
    return (
      [fromCells, column === undefined ? sameKind : fromJson, column === undefined ? fromJson : sameKind].find(
        (sources) => sources.length > 0,
      ) ?? []
    );
  }
}

/** Returns the sidecar that contains the class: `.cls` is preferred to `.json`. */
function labeledBy(own: readonly Sidecar[]): Sidecar | undefined {
  const labeled = own.filter(({ label }) => label !== undefined);
  return labeled.find(({ extension }) => extension === 'cls') ?? labeled[0];
}

/** Why a file that is neither an image nor a text is skipped. */
function reasonFor(extension: string, many: string): string {
  if (extension === '') return 'files without an extension';
  return TABLES.has(extension)
    ? `.${extension} files not named metadata.${extension}`
    : `.${extension} files that are not ${many}`;
}

const TABLES: ReadonlySet<string> = new Set(['csv', 'tsv', 'jsonl', 'ndjson', 'parquet']);

/** Returns the caption for a file name: `a_red-bird_0012.png` becomes `a red bird`. */
function captionOfName(path: string): string[] {
  const words = stemOf(fileName(path))
    .replace(/[_\-.]+/g, ' ')
    .replace(/\s*(\(\d+\)|\b\d+)\s*$/, '')
    .trim();
  return words === '' ? [] : [words];
}

/**
 * Returns the keys of images: paths without extension. The extension is kept where `a.png` and `a.jpg` would share a
 * key, or where `a.png.png` would take the key of `a.png`.
 */
function keysOf(media: readonly DataFile[]): string[] {
  const stems = media.map(({ path }) => stemOf(path));
  const paths = new Set(media.map(({ path }) => path));
  const count = new Map<string, number>();
  for (const stem of stems) count.set(stem, (count.get(stem) ?? 0) + 1);
  return stems.map((stem, i) => (count.get(stem) === 1 && !paths.has(stem) ? stem : media[i]!.path));
}

/**
 * Returns the keys in archives that several images share, such as views of one object. Their images stay on one side of
 * a split.
 */
function sharedKeys(media: readonly DataFile[], isArchive: boolean): Set<string> {
  const counts = new Map<string, number>();
  if (isArchive) for (const { path } of media) counts.set(keyOf(path), (counts.get(keyOf(path)) ?? 0) + 1);
  return new Set([...counts].filter(([, count]) => count > 1 && count <= MAX_FIELDS).map(([key]) => key));
}
