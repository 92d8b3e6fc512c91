// A time limit for synchronous work that cannot be interrupted from outside, such as a backtracking pattern or a loop
// in third-party code.
import { createContext, Script } from 'node:vm';

/** Thrown when the work exceeds its time limit. */
export class TimeLimit extends Error {}

// V8 terminates a script that runs too long wherever it is, including in functions of other contexts and in pattern
// matching.
const desk: { work: (() => unknown) | undefined } = { work: undefined };
const runner = new Script('work()');
let context: ReturnType<typeof createContext> | undefined;

/**
 * Runs synchronous work.
 *
 * @param milliseconds Time limit. Work that is terminated may be left half done.
 * @throws {TimeLimit} when the limit is exceeded, or whatever the work throws.
 */
export function withinTime<T>(milliseconds: number, work: () => T): T {
  context ??= createContext(desk);
  const outer = desk.work;
  desk.work = work;
  try {
    return runner.runInContext(context, { timeout: milliseconds }) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT')
      throw new TimeLimit(`more than ${milliseconds / 1000} seconds`, { cause: error });
    throw error;
  } finally {
    desk.work = outer;
  }
}
