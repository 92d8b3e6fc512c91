import type { Progress } from '../report/progress.js';
import type { Session } from './session.js';

/** A progress display for jobs that tell (done, total); it appears with their first word. */
export function countedProgress(
  session: Session,
  label: string,
  unit: string,
  resumed = false,
): { onProgress: (done: number, total: number) => void; finish: () => void } {
  let progress: Progress | undefined;
  return {
    onProgress: (done, total) => {
      // What an earlier run did is no part of the rate.
      progress ??= session.progress({ label, total, unit, initial: resumed ? done : 0 });
      progress.update(done);
    },
    finish: () => progress?.finish(),
  };
}
