// Restricts the loaders of libvips once for the process, whichever thread needs libvips first. This module is loaded before worker
// threads start, so that they share its state.
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

const KEY = 'tesserae.loaders';
const [OPEN, CHANGING, RESTRICTED] = [0, 1, 2];

function shared(): Int32Array {
  const state = new Int32Array(new SharedArrayBuffer(4));
  setEnvironmentData(KEY, state);
  return state;
}

const state = (getEnvironmentData(KEY) as Int32Array | undefined) ?? shared();

/** Calls `restrict` in the first thread that comes here. Others wait until it is done: in between, nothing can be read. */
export function restrictOnce(restrict: () => void): void {
  if (Atomics.compareExchange(state, 0, OPEN, CHANGING) === OPEN) {
    restrict();
    Atomics.store(state, 0, RESTRICTED);
    Atomics.notify(state, 0);
  } else Atomics.wait(state, 0, CHANGING);
}
