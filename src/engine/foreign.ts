// Networks made elsewhere, which may hold anything that ONNX can say. They run in a process of their own, with limits of time
// and memory.
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { refuseLoops } from './onnx-reader.js';
import { defaultThreads } from './runtime.js';
import type { Port } from './runtime.js';

/** What the process is asked. */
export type Question =
  | { kind: 'open'; bytes: Uint8Array; memoryBytes: number }
  | { kind: 'run'; data: Float32Array; shape: readonly number[]; output: string };

export type Answer =
  | { kind: 'opened'; inputs: readonly Port[]; outputs: readonly Port[] }
  | { kind: 'result'; data: Float32Array; shape: readonly number[] }
  | { kind: 'failed'; reason: string };

/** A model made elsewhere, which tells what it takes and gives. */
export interface ForeignModel {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** @param data float32 of the only input. @returns float32 of one output. */
  run(
    data: Float32Array,
    shape: readonly number[],
    output: string,
  ): Promise<{ data: Float32Array; shape: readonly number[] }>;
  release(): Promise<void>;
}

/** The network took too long or too much memory, or brought the process down. */
export class ForeignLimit extends Error {}

/**
 * What a network may take: a sum, of which the first is for any, and the others for what it has to do. Honest networks stay
 * well below: one reads its weights a few hundred times for a batch of images, and its values are a few thousand bytes a pixel.
 */
const SECONDS = { any: 4, megabyte: 2, megapixel: 30 };
const MEMORY_BYTES = { any: 2 ** 29, byte: 6, input: 512 };
const OPENING_SECONDS = { any: 4, megabyte: 0.5 };

/**
 * Opens an ONNX file of one float32 input in a process of its own.
 *
 * @throws {InputError} E_ONNX_LOOP for a network with loops. @throws {ForeignLimit} and ONNX Runtime's own errors.
 */
export async function openForeignModel(bytes: Uint8Array, where: string): Promise<ForeignModel> {
  refuseLoops(bytes, where);
  const megabytes = bytes.length / 2 ** 20;
  const peer = new Peer();
  try {
    const memoryBytes = MEMORY_BYTES.any + MEMORY_BYTES.byte * bytes.length;
    const opened = await peer.ask(
      { kind: 'open', bytes, memoryBytes },
      OPENING_SECONDS.any + OPENING_SECONDS.megabyte * megabytes,
    );
    if (opened.kind !== 'opened') throw new Error('no answer');
    const { inputs, outputs } = opened;
    return {
      inputs,
      outputs,
      run: async (data, shape, output) => {
        const seconds = SECONDS.any + SECONDS.megabyte * megabytes + (SECONDS.megapixel * data.length) / 3 / 2 ** 20;
        const answer = await peer.ask({ kind: 'run', data, shape, output }, seconds);
        if (answer.kind !== 'result') throw new Error('no result');
        return answer;
      },
      release: () => peer.end(),
    };
  } catch (error) {
    await peer.end();
    throw error;
  }
}

/** The process, asked one question at a time. */
class Peer {
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;
  private last: Promise<unknown> = Promise.resolve();

  constructor() {
    // Under a test the sources run as they are, and a process needs what was built of them.
    const entry = new URL(
      import.meta.url.endsWith('.ts') ? '../../dist/src/engine/foreign-process.js' : './foreign-process.js',
      import.meta.url,
    );
    this.child = fork(fileURLToPath(entry), {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      execArgv: [],
      env: { ...process.env, TESSERAE_THREADS: String(defaultThreads()) },
    });
    this.ended = new Promise((resolve) => this.child.once('close', () => resolve()));
    this.rest();
  }

  ask(question: Question, seconds: number): Promise<Answer> {
    const answer = this.last.then(() => this.askNow(question, seconds));
    this.last = answer.catch(() => undefined);
    return answer;
  }

  async end(): Promise<void> {
    this.child.ref();
    this.child.kill('SIGKILL');
    if (this.child.exitCode === null && this.child.signalCode === null) await this.ended;
  }

  private askNow(question: Question, seconds: number): Promise<Answer> {
    const { child } = this;
    return new Promise<Answer>((resolve, reject) => {
      if (child.exitCode !== null || child.signalCode !== null) return reject(new ForeignLimit('it has ended before'));
      const done = (settle: () => void): void => {
        clearTimeout(timer);
        child.off('message', onMessage).off('exit', onExit).off('error', onError);
        this.rest();
        settle();
      };
      const onMessage = (answer: Answer): void =>
        done(() => (answer.kind === 'failed' ? reject(new Error(answer.reason)) : resolve(answer)));
      const onExit = (code: number | null, signal: NodeJS.Signals | null): void =>
        done(() =>
          reject(
            new ForeignLimit(
              signal === 'SIGKILL'
                ? 'it takes more memory than its size and that of the images explain'
                : `it ends ONNX Runtime with ${signal ?? `exit ${code}`}`,
            ),
          ),
        );
      const onError = (error: Error): void => done(() => reject(error));
      const timer = setTimeout(() => {
        child.off('exit', onExit);
        child.kill('SIGKILL');
        done(() => reject(new ForeignLimit(`it takes more than ${Math.ceil(seconds)} seconds`)));
      }, 1000 * seconds);
      child.on('message', onMessage).on('exit', onExit).on('error', onError);
      child.ref();
      child.channel?.ref();
      child.send(question, (error) => error && onError(error));
    });
  }

  /** A process without work keeps nobody waiting. */
  private rest(): void {
    this.child.unref();
    this.child.channel?.unref();
  }
}
