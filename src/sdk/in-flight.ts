// Bounds the memory of a dataset while it is encoded, in bytes: a photograph may take as much as ten thousand icons.
import { PARALLEL } from '../data/concurrency.js';
import { InputError } from '../errors.js';
import type { Dataset, RawSample, Split } from '../interfaces/index.js';
import type { AnyMedium } from '../media/medium.js';
import { fullMedium } from '../media/node.js';

/**
 * Maximum number of bytes of files that are read but not yet decoded, and of their decoded values. A sample that is larger is
 * processed alone. In addition, one file is read ahead, or a few while files are small.
 */
const IN_FLIGHT_BYTES = 192 * 2 ** 20;

/** Small samples are passed on together, up to this many bytes: a message for each would cost more than decoding an icon. */
const PIECE_BYTES = 4 * 2 ** 20;

/** Some samples of a batch, in order. */
export interface Piece {
  samples: readonly RawSample[];
  /** Call this once they are decoded and their files are no longer needed. */
  release(): void;
}

/** Bytes that a sample takes until it is brought to the codec's size: its file and its decoded values. */
export function weightOf({ content }: RawSample, { files, samplesOf }: AnyMedium): number {
  if ('bytes' in content) return content.bytes.length + files.decodedBytes(content.bytes);
  return 'media' in content ? samplesOf(content.media).data.byteLength : 0;
}

/** A budget of bytes, granted in the order of the requests. */
export class ByteBudget {
  private used = 0;
  private readonly waiting: { bytes: number; admit: () => void }[] = [];

  constructor(readonly limit: number) {}

  /** Takes bytes if they are free, or more than the limit if nothing else is in use. @returns whether it did. */
  tryTake(bytes: number): boolean {
    if (this.waiting.length > 0 || (this.used > 0 && this.used + bytes > this.limit)) return false;
    this.used += bytes;
    return true;
  }

  take(bytes: number): Promise<void> {
    return this.tryTake(bytes) ? Promise.resolve() : new Promise((admit) => this.waiting.push({ bytes, admit }));
  }

  give(bytes: number): void {
    this.used -= bytes;
    for (
      let next = this.waiting[0];
      next && (this.used === 0 || this.used + next.bytes <= this.limit);
      next = this.waiting[0]
    ) {
      this.waiting.shift();
      this.used += next.bytes;
      next.admit();
    }
  }

  /** Admits all who wait, because no more bytes will be given back. */
  open(): void {
    for (const { admit } of this.waiting.splice(0)) admit();
  }
}

/** Reads batches of a dataset in pieces that fit the budget, one batch after the other. */
export class SampleFeed {
  private readonly budget: ByteBudget;
  private readonly medium: AnyMedium;
  private turn: Promise<void> = Promise.resolve();
  private stopped = false;
  /** Number of files read ahead: one if they are large. */
  private ahead = PARALLEL;

  constructor(
    private readonly dataset: Dataset,
    limit = IN_FLIGHT_BYTES,
  ) {
    this.budget = new ByteBudget(limit);
    this.medium = fullMedium(dataset.medium);
  }

  /** Yields the samples of a batch. Batches are read in the order in which they are requested, and each must be read to its end. */
  batch(split: Split, first: number, count: number): AsyncGenerator<Piece, void, undefined> {
    const before = this.turn;
    let done = (): void => undefined;
    this.turn = new Promise((resolve) => (done = resolve));
    return this.pieces(split, first, count, before, done);
  }

  /** Ends the batches that wait for their turn or for memory. */
  stop(): void {
    this.stopped = true;
    this.budget.open();
  }

  private async *pieces(
    split: Split,
    first: number,
    count: number,
    before: Promise<void>,
    done: () => void,
  ): AsyncGenerator<Piece, void, undefined> {
    await before;
    try {
      let samples: RawSample[] = [];
      let bytes = 0;
      const piece = (): Piece => {
        const taken = bytes;
        const made = { samples, release: () => this.budget.give(taken) };
        [samples, bytes] = [[], 0];
        return made;
      };
      const queue: Promise<RawSample>[] = [];
      for (let next = 0, taken = 0; taken < count; taken++) {
        for (; queue.length < this.ahead && next < count; next++) queue.push(this.read(split, first + next));
        const raw = await queue.shift()!;
        const weight = weightOf(raw, this.medium);
        this.ahead = weight > PIECE_BYTES ? 1 : PARALLEL;
        if (!this.budget.tryTake(weight)) {
          // The budget could be waiting for the samples that are held back here.
          if (samples.length > 0) yield piece();
          await this.budget.take(weight);
        }
        if (this.stopped) return;
        samples.push(raw);
        bytes += weight;
        if (bytes >= PIECE_BYTES) yield piece();
      }
      if (samples.length > 0) yield piece();
    } finally {
      done();
    }
  }

  private read(split: Split, index: number): Promise<RawSample> {
    const read = this.dataset.read(split, index).catch((error: unknown): RawSample => {
      // A file that disappeared since the dataset was opened is reported in its turn, like one that cannot be decoded.
      if (!(error instanceof InputError)) throw error;
      return {
        ...this.dataset.describe(split, index),
        source: this.dataset.source,
        content: { failure: { code: error.code, detail: error.detail } },
      };
    });
    read.catch(() => undefined); // seen in its turn
    return read;
  }
}
