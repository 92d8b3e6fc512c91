import type { Progress } from '../report/progress.js';
import type { Session } from './session.js';

/** Returns a progress display for jobs that report (done, total). It appears with the first report. */
export function countedProgress(
  session: Session,
  label: string,
  unit: string,
  resumed = false,
): { onProgress: (done: number, total: number) => void; finish: () => void } {
  let progress: Progress | undefined;
  return {
    onProgress: (done, total) => {
      // Work done by an earlier run must not count toward the rate.
      progress ??= session.progress({ label, total, unit, initial: resumed ? done : 0 });
      progress.update(done);
    },
    finish: () => progress?.finish(),
  };
}
