// Records what is found while a dataset is opened: what is used, what is skipped and why, and what is damaged.
import { InputError } from '../errors.js';
import type { BadFile, LeftOut } from '../interfaces/dataset.js';
import type { AnyMedium } from '../media/medium.js';
import { fullMedium } from '../media/node.js';

/** Number of examples kept for each reason. */
const EXAMPLES = 3;

/** What to do with files that cannot be used. */
export interface BadFileOptions {
  /** Skips files that cannot be used. By default the first one ends the opening with its error. */
  skipBad?: boolean;
}

/** Counts by reason, with a few examples each. */
export class Reasons {
  private readonly counts = new Map<string, LeftOut>();

  add(reason: string, example: string, isMedia = false): void {
    const known = this.counts.get(reason) ?? {
      reason,
      ...(isMedia && { media: true as const }),
      count: 0,
      examples: [],
    };
    this.counts.set(reason, known);
    known.count++;
    if (known.examples.length < EXAMPLES) known.examples.push(example);
  }

  get list(): LeftOut[] {
    return [...this.counts.values()];
  }
}

/** Everything recorded while one dataset is opened. */
export class Tally {
  /** Number of files found. */
  files = 0;
  /** Number of files that are samples, or that contain samples. */
  media = 0;
  /** Number of files that contributed captions, labels or metadata. */
  texts = 0;
  readonly leftOut = new Reasons();
  readonly unusedCaptions = new Reasons();
  readonly usedCaptions: Record<string, number> = {};
  readonly formats: Record<string, number> = {};
  readonly warnings: string[] = [];
  /** The error that ended the opening, while it propagates. */
  private refusal: InputError | undefined;

  readonly bad: BadFile[] = [];

  /** @param medium that of the dataset; until its files are known, images. */
  constructor(
    private readonly options: BadFileOptions,
    public medium: AnyMedium = fullMedium('image'),
  ) {}

  /**
   * Records a file, or a row of one, that cannot be used. Call it once for each.
   *
   * @throws {InputError} the error itself, unless bad files are skipped. Anything but an {@link InputError} is always
   *   thrown.
   */
  reject(file: string, error: unknown, row?: number): void {
    if (!(error instanceof InputError) || error === this.refusal) throw error;
    if (!this.options.skipBad) {
      this.refusal = new InputError(error.code, `${error.detail} --skip-bad leaves such files out.`, { cause: error });
      throw this.refusal;
    }
    this.bad.push({ file, ...(row !== undefined && { row }), error: error.message });
  }

  /** Runs `action`. If its input is bad, records that and returns undefined. */
  async attempt<T>(file: string, action: () => Promise<T> | T): Promise<T | undefined> {
    try {
      return await action();
    } catch (error) {
      this.reject(file, error);
      return undefined;
    }
  }

  useCaption(source: string): void {
    this.usedCaptions[source] = (this.usedCaptions[source] ?? 0) + 1;
  }

  useMedia(extension: string): void {
    this.media++;
    this.formats[extension] = (this.formats[extension] ?? 0) + 1;
  }
}
