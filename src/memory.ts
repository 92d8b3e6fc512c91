// How much memory there is, and what its end looks like: the ways in which V8, Node and ONNX Runtime say that they
// could not get any, so that they become one line that names what to lower.
import { MemoryError, messageOf } from './errors.js';
import { nodeBuiltin } from './node-builtin.js';

/**
 * Bytes that this process may use at most: the machine's, or less where a container has a limit. A browser does not
 * tell: Infinity.
 */
export function memoryBytes(): number {
  const total = nodeBuiltin?.('node:os').totalmem() ?? Infinity;
  // 0, or more than there is, where nothing is limited.
  const limit = globalThis.process?.constrainedMemory?.() ?? 0;
  return limit > 0 ? Math.min(limit, total) : total;
}

/**
 * Refuses what cannot fit, before anything is allocated: the system would end the process later, without a word.
 *
 * @param where what needs the memory. @param bytes the least it needs. @param remedy which settings to lower.
 * @throws {MemoryError} E_MEMORY.
 */
export function expectMemory(where: string, bytes: number, remedy: string): void {
  const there = memoryBytes();
  if (bytes > there)
    throw new MemoryError(
      'E_MEMORY',
      `${where}: expected to fit into ${inGiB(there)} of memory, it needs ${inGiB(bytes)} or more. ${remedy}`,
    );
}

/** Which settings decide how much memory a job takes. */
export const SMALLER =
  'Lower the batch size (--batch), the size of the images, the size of the model, or the number of workers.';

const inGiB = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

const SYMPTOMS =
  /failed to allocate memory|bad[_ ]alloc|array buffer allocation failed|invalid (typed )?array (buffer )?length|out of memory|cannot create a buffer larger|ENOMEM|cannot allocate memory/i;
const CODES = new Set([
  'ERR_WORKER_OUT_OF_MEMORY',
  'ERR_WORKER_INIT_FAILED',
  'ERR_MEMORY_ALLOCATION_FAILED',
  'ERR_BUFFER_TOO_LARGE',
  'ERR_STRING_TOO_LONG',
  'ENOMEM',
]);

/** True for an error, or one that was caused by one, which says that memory could not be had. */
export function isOutOfMemory(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    if (CODES.has((at as NodeJS.ErrnoException).code ?? '') || SYMPTOMS.test(messageOf(at))) return true;
  }
  return false;
}
