// Reports inputs skipped by --skip-bad.
import { EXIT } from '../errors.js';
import type { TesseraeError } from '../errors.js';
import type { DataSummary } from '../interfaces/index.js';
import { summaryLines } from '../report/data-summary.js';
import type { Session } from './session.js';

/** Prints the summary of a dataset before work on it begins. Files that were skipped as bad count as skipped. */
export function dataEvents(session: Session, skips?: Skips): { onSummary(summary: DataSummary): void } {
  return {
    onSummary: (summary) => {
      for (const line of summaryLines(summary)) session.note(line);
      if (skips) skips.count += summary.bad.length;
    },
  };
}

/** Prints the first few skipped inputs on stderr, counts all of them, and finally sets exit code 7. */
export class Skips {
  count = 0;
  private readonly reported = new Set<string>();

  constructor(private readonly session: Session) {}

  readonly add = (error: TesseraeError): void => {
    // Training may meet a bad sample again, or evaluate it; it counts only once.
    if (this.reported.has(error.message)) return;
    this.reported.add(error.message);
    this.count++;
    if (this.count <= 10) this.session.note(`skipped: ${error.message}`);
    if (this.count === 11) this.session.note('skipped: further inputs are counted but not shown');
  };

  /** @param where A file that lists the skipped inputs. */
  conclude(count = this.count, where?: string): void {
    if (count === 0) return;
    this.session.note(
      `E_SKIPPED finished, but skipped ${count} bad ${count === 1 ? 'sample' : 'samples'}${where ? `, listed in ${where}` : ''}.`,
    );
    this.session.exitCode = EXIT.skipped;
  }
}
