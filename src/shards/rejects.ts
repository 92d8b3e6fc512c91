// rejects.jsonl lists the samples that were skipped, one JSON object per line, in the order of the input. Footers and
// manifest store its number of lines and a hash, so that a resumed run knows exactly which inputs have been processed.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { CorruptError, UsageError } from '../errors.js';
import { decodeUtf8, parseJson } from '../json.js';
import { guarded } from '../files/system.js';
import { writeFileAtomic } from '../files/commit.js';
import type { FileSystem } from '../files/system.js';
import type { Split } from '../interfaces/index.js';
import { readOwnFile } from '../snapshot.js';
import { REJECTS, SPLITS } from './format.js';
import type { RejectsMark } from './format.js';

const REJECTS_LIMIT = 2 ** 30;
const REMEDY = 'Restore it, or tokenize again with --force.';

const sampleSchema = z.strictObject({
  split: z.enum(['train', 'test']),
  /** Index of the sample in its split of the input. */
  index: z.int().nonnegative(),
  key: z.string(),
  error: z.string(),
});

/** A sample that was skipped, and the reason. */
export type SampleReject = z.infer<typeof sampleSchema>;

/** A file of the input, or a row of its metadata, that was skipped before samples were formed. */
const fileSchema = z.strictObject({ file: z.string(), row: z.int().positive().optional(), error: z.string() });

const rejectSchema = z.union([sampleSchema, fileSchema]);

/** A sample or a file that was skipped, and the reason. Files come first. */
export type Reject = z.infer<typeof rejectSchema>;

/**
 * Number of rejects that are written immediately, so that they can be seen while the run is in progress. Later ones are
 * written each time the list has doubled.
 */
const WRITTEN_AT_ONCE = 16;

/** The list of what was skipped so far. {@link RejectList.flush} makes it durable. */
export class RejectList {
  private readonly path: string;
  private readonly lines: string[] = [];
  private readonly kept: Reject[] = [];
  private readonly hash = createHash('sha256');
  private readonly counts: Record<Split, number> = { train: 0, test: 0 };
  private current: RejectsMark | undefined;
  /** Number of lines in the file. */
  private written = 0;

  constructor(
    private readonly directory: string,
    private readonly files: FileSystem,
  ) {
    this.path = join(directory, REJECTS);
  }

  get count(): number {
    return this.kept.length;
  }

  /** Returns how many samples of a split were skipped. */
  countOf(split: Split): number {
    return this.counts[split];
  }

  /** Returns the count and hash of the current list. */
  mark(): RejectsMark {
    return (this.current ??= { count: this.count, sha256: this.hash.copy().digest('hex') });
  }

  /**
   * Adds a sample, in constant time on average, because the file is not rewritten for each one.
   *
   * @throws {UsageError} E_REJECT_ORDER.
   * @throws {IoError} E_DISK_FULL, E_IO.
   */
  add(reject: Reject): void {
    if (!follows(reject, this.kept.at(-1)))
      throw new UsageError(
        'E_REJECT_ORDER',
        `RejectList.add: expected samples in the order of the input, received ${placeOf(reject)}.`,
      );
    this.push(reject, `${JSON.stringify(reject)}\n`);
    if (this.count <= WRITTEN_AT_ONCE || this.count >= 2 * this.written) this.flush();
  }

  /**
   * Makes the list durable. Call it before committing a part, because the part refers to the rejects before it.
   *
   * @throws {IoError} E_DISK_FULL, E_IO.
   */
  flush(): void {
    if (this.written === this.count) return;
    writeFileAtomic(this.path, this.lines.join(''), this.files);
    this.written = this.count;
  }

  /** Takes over the lines of the file that a mark covers. The samples of later lines will be processed again. */
  adopt(mark: RejectsMark): void {
    if (mark.count === 0) return;
    for (const line of markedLines(this.directory, mark, this.files))
      this.push(parseReject(line, `${this.path}#${this.count + 1}`, this.kept.at(-1)), line);
  }

  /** Writes the complete list, or removes the file if nothing was skipped. */
  finish(): void {
    if (this.count === 0) guarded(this.path, 'removing', () => this.files.remove(this.path));
    else writeFileAtomic(this.path, this.lines.join(''), this.files);
    this.written = this.count;
  }

  private push(reject: Reject, line: string): void {
    this.kept.push(reject);
    if ('split' in reject) this.counts[reject.split]++;
    this.lines.push(line);
    this.hash.update(line);
    this.current = undefined;
  }
}

/**
 * Returns the lines that a mark covers, including their line ends.
 *
 * @throws {CorruptError} E_REJECTS when the file is missing, too short or does not match.
 */
function markedLines(directory: string, { count, sha256 }: RejectsMark, files: FileSystem): string[] {
  const path = join(directory, REJECTS);
  const text = guarded(path, 'reading', () => files.status(path)) === undefined ? '' : textOf(path, files);
  const lines = text.split(/(?<=\n)/).slice(0, count);
  const found = createHash('sha256').update(lines.join('')).digest('hex');
  if (lines.length === count && found === sha256) return lines;
  const what = text === '' ? 'found none' : lines.length < count ? `found ${lines.length}` : 'found different ones';
  throw new CorruptError(
    'E_REJECTS',
    `${path}: expected the ${count} skipped samples that the parts refer to, ${what}. ${REMEDY}`,
  );
}

function textOf(path: string, files: FileSystem): string {
  try {
    return decodeUtf8(readOwnFile(path, 'E_REJECTS', { limit: REJECTS_LIMIT, files }), path);
  } catch (error) {
    if (error instanceof CorruptError && error.code === 'E_JSON')
      throw new CorruptError('E_REJECTS', `${error.detail} ${REMEDY}`, { cause: error });
    throw error;
  }
}

function parseReject(line: string, where: string, previous: Reject | undefined): Reject {
  const result = rejectSchema.safeParse(parseJson(line, where));
  if (!result.success)
    throw new CorruptError(
      'E_REJECTS',
      `${where}: expected a skipped sample, ${z.prettifyError(result.error)}. ${REMEDY}`,
    );
  if (!follows(result.data, previous))
    throw new CorruptError(
      'E_REJECTS',
      `${where}: expected samples in the order of the input, found ${placeOf(result.data)}. ${REMEDY}`,
    );
  return result.data;
}

function placeOf(reject: Reject): string {
  return 'split' in reject ? `${reject.split} ${reject.index}` : `file ${reject.file}`;
}

function follows(reject: Reject, previous: Reject | undefined): boolean {
  if (previous === undefined || !('split' in previous)) return true;
  if (!('split' in reject)) return false;
  const [rank, before] = [SPLITS.indexOf(reject.split), SPLITS.indexOf(previous.split)];
  return rank > before || (rank === before && reject.index > previous.index);
}

/**
 * Checks a complete dataset's list of rejects against its manifest.
 *
 * @throws {CorruptError} E_REJECTS when it is missing, damaged or does not match.
 */
export function verifyRejects(directory: string, mark: RejectsMark, files: FileSystem): void {
  if (mark.count === 0) return;
  const path = join(directory, REJECTS);
  const bytes = markedLines(directory, mark, files).reduce((sum, line) => sum + Buffer.byteLength(line), 0);
  const size = files.status(path)?.size;
  if (size !== bytes) throw new CorruptError('E_REJECTS', `${path}: expected ${bytes} bytes, found ${size}. ${REMEDY}`);
}
