// Keeps account of what opening a dataset finds: what is used, what is left out and why, what is wrong.
import { InputError } from '../errors.js';
import type { BadFile, LeftOut } from '../interfaces/dataset.js';

/** Examples kept for each reason. */
const EXAMPLES = 3;

/** What to do with files that cannot be used. */
export interface BadFileOptions {
  /** Leave out files that cannot be used; without it the first one stops the opening with its error. Default false. */
  skipBad?: boolean;
}

/** Counts by reason, with a few examples of each. */
export class Reasons {
  private readonly counts = new Map<string, LeftOut>();

  add(reason: string, example: string, pictures = false): void {
    const known = this.counts.get(reason) ?? {
      reason,
      ...(pictures && { pictures: true as const }),
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

/** One opening's account. */
export class Tally {
  /** Files found. */
  files = 0;
  /** Files that are pictures of samples, or that hold samples. */
  pictures = 0;
  /** Files that gave captions, labels or metadata. */
  texts = 0;
  readonly leftOut = new Reasons();
  readonly unusedCaptions = new Reasons();
  readonly usedCaptions: Record<string, number> = {};
  readonly formats: Record<string, number> = {};
  readonly warnings: string[] = [];
  /** The error that stopped the opening, on its way out. */
  private refusal: InputError | undefined;

  readonly bad: BadFile[] = [];

  constructor(private readonly options: BadFileOptions) {}

  /**
   * Notes a file, or a row of one, that cannot be used. To be called once for each.
   *
   * @throws {InputError} the error itself, unless bad files are to be left out. Anything but an {@link InputError} is always thrown.
   */
  reject(file: string, error: unknown, row?: number): void {
    if (!(error instanceof InputError) || error === this.refusal) throw error;
    if (!this.options.skipBad) {
      this.refusal = new InputError(error.code, `${error.detail} --skip-bad leaves such files out.`, { cause: error });
      throw this.refusal;
    }
    this.bad.push({ file, ...(row !== undefined && { row }), error: error.message });
  }

  /** Runs `action`; when its input is bad, notes it and gives undefined. */
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

  usePicture(extension: string): void {
    this.pictures++;
    this.formats[extension] = (this.formats[extension] ?? 0) + 1;
  }
}
