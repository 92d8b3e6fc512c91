// The process in which a network of others runs: an endless or huge computation ends with the process, and so does a crash of
// the native library. See `foreign.ts`, which starts it and talks to it.
import { Worker } from 'node:worker_threads';
import { firstLineOf } from '../errors.js';
import type { Answer, Question } from './foreign.js';
import './register-node.js';
import { loadRuntime } from './runtime.js';
import type { Runtime, Session } from './runtime.js';

/**
 * ONNX Runtime computes in the main thread, so another one watches: it ends the process above a size of memory, and when the
 * parent is gone.
 */
const WATCH = `
const { workerData } = require('node:worker_threads');
const parent = process.ppid;
setInterval(() => {
  if (process.memoryUsage.rss() > workerData.limit || process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
}, 10);`;

let runtime: Runtime;
let session: Session;

async function answer(question: Question): Promise<Answer> {
  if (question.kind === 'open') {
    runtime = await loadRuntime();
    new Worker(WATCH, { eval: true, workerData: { limit: process.memoryUsage.rss() + question.memoryBytes } }).unref();
    session = await runtime.createSession(question.bytes);
    return { kind: 'opened', inputs: session.inputs, outputs: session.outputs };
  }
  // A copy: the address of the bytes within the message varies, and with it the order of sums and their last digit.
  const input = runtime.tensor('float32', question.data.slice(), question.shape);
  const { [question.output]: result } = await session.run(
    { [session.inputs[0]!.name]: input },
    { [question.output]: null },
  );
  return { kind: 'result', data: result!.data as Float32Array, shape: result!.dims };
}

process.on('message', (question: Question) => {
  answer(question)
    .catch((error: unknown): Answer => ({ kind: 'failed', reason: firstLineOf(error) }))
    .then((reply) => process.send!(reply))
    .catch(() => process.exit(1));
});
process.on('disconnect', () => process.exit(0));
// The parent decides when to stop; a terminal's Ctrl-C reaches both.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
