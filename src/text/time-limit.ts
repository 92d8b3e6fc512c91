// A time limit for synchronous work that cannot be interrupted from outside, such as a backtracking pattern or a loop
// in third-party code.
import { nodeBuiltin } from '../node-builtin.js';

/** Thrown when the work exceeds its time limit. */
export class TimeLimit extends Error {}

// V8 terminates a script that runs too long wherever it is, including in functions of other contexts and in pattern
// matching.
const vm = nodeBuiltin?.('node:vm');
const desk: { work: (() => unknown) | undefined } = { work: undefined };
const runner = vm && new vm.Script('work()');
let context: object | undefined;

/**
 * Runs synchronous work. Only Node.js can end it early: elsewhere it runs without a limit.
 *
 * @param milliseconds Time limit. Work that is terminated may be left half done.
 * @throws {TimeLimit} when the limit is exceeded, or whatever the work throws.
 */
export function withinTime<T>(milliseconds: number, work: () => T): T {
  if (!vm || !runner) return work();
  context ??= vm.createContext(desk);
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
