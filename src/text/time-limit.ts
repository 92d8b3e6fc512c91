// A limit of time for work that cannot be interrupted from outside: a pattern that backtracks, a loop of somebody else's.
import { nodeBuiltin } from '../node-builtin.js';

/** The work took longer than it may. */
export class TimeLimit extends Error {}

// V8 ends a script that runs too long wherever it is, in functions of other contexts and in the matching of patterns too.
const vm = nodeBuiltin?.('node:vm');
const desk: { work: (() => unknown) | undefined } = { work: undefined };
const runner = vm && new vm.Script('work()');
let context: object | undefined;

/**
 * Runs work that must not wait for anything. Only Node.js can end it: elsewhere it runs without a limit.
 *
 * @param milliseconds after which it is ended. What the work was about may then be half done.
 * @throws {TimeLimit} @throws what the work throws.
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
