// Inputs left out by --skip-bad.
import { EXIT } from '../errors.js';
import type { TesseraeError } from '../errors.js';
import type { DataSummary } from '../interfaces/index.js';
import { summaryLines } from '../report/data-summary.js';
import type { Session } from './session.js';

/** Prints the account of a dataset before the work on it begins; what was left out of it as bad counts as skipped. */
export function dataEvents(session: Session, skips?: Skips): { onSummary(summary: DataSummary): void } {
  return {
    onSummary: (summary) => {
      for (const line of summaryLines(summary)) session.note(line);
      if (skips) skips.count += summary.bad.length;
    },
  };
}

/** Names the first few on stderr, counts all, and in the end sets exit code 7. */
export class Skips {
  count = 0;
  private readonly told = new Set<string>();

  constructor(private readonly session: Session) {}

  readonly add = (error: TesseraeError): void => {
    // A sample that training meets again, or evaluates, is the same bad sample.
    if (this.told.has(error.message)) return;
    this.told.add(error.message);
    this.count++;
    if (this.count <= 10) this.session.note(`skipped: ${error.message}`);
    if (this.count === 11) this.session.note('skipped: more, which are counted only');
  };

  /** @param where a file that lists them. */
  conclude(count = this.count, where?: string): void {
    if (count === 0) return;
    this.session.note(
      `E_SKIPPED finished, but left out ${count} bad ${count === 1 ? 'sample' : 'samples'}${where ? `, listed in ${where}` : ''}.`,
    );
    this.session.exitCode = EXIT.skipped;
  }
}
