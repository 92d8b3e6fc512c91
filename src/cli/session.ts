// What surrounds every command: signals, streams, the one line of an error, the exit code.
import { CommanderError } from 'commander';
import { AbortedError, EXIT, MemoryError, TesseraeError, firstLineOf, messageOf, printable } from '../errors.js';
import { fileError } from '../files/system.js';
import { SMALLER, isOutOfMemory } from '../memory.js';
import { nativeMissing, tellOfFallback } from '../native.js';
import { Progress } from '../report/progress.js';
import type { ProgressOptions } from '../report/progress.js';

type Interrupt = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

const INTERRUPT_CODES: Record<Interrupt, number> = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
const INTERRUPTS = Object.keys(INTERRUPT_CODES) as Interrupt[];

/** Options every command takes. */
export interface GlobalOptions {
  engine?: 'onnxruntime' | 'tensorflow' | 'reference';
  threads?: number;
  json?: boolean;
  debug?: boolean;
}

/** One run of the command line, from the arguments to the exit code. */
export class Session {
  /** What a command that came to its end exits with. */
  exitCode: number = EXIT.ok;
  private options: GlobalOptions = {};
  private readonly controller = new AbortController();
  private interrupt: Interrupt | undefined;

  /**
   * Fires at the first SIGINT, SIGTERM or SIGHUP (a closed terminal). A command that takes it saves its work; any other is
   * ended at once by the system, even while it is inside native code.
   */
  get signal(): AbortSignal {
    if (this.interrupt === undefined)
      for (const name of INTERRUPTS) if (process.listenerCount(name) === 0) process.on(name, this.onInterrupt);
    return this.controller.signal;
  }

  async configure(options: GlobalOptions, command: string): Promise<void> {
    this.options = options;
    // Read when the engine's runtime is registered, here and in worker threads.
    if (options.threads !== undefined) process.env.TESSERAE_THREADS = String(options.threads);
    if (command !== 'doctor') this.tellOfMissingLibrary();
    await import('../engine/register-node.js');
  }

  /** Every command says it, the ones that compute nothing too: what is slow tomorrow is mended today. */
  private tellOfMissingLibrary(): void {
    if ((this.options.engine ?? 'onnxruntime') !== 'onnxruntime' || process.env.TESSERAE_ORT === 'wasm') return;
    const reason = nativeMissing();
    if (reason !== undefined) tellOfFallback(reason);
  }

  /** Brings up the engine asked for. Commands call it after their arguments are checked: it loads what is heavy. */
  async startEngine(): Promise<void> {
    const { engine } = this.options;
    if (engine === undefined || engine === 'onnxruntime') return;
    const { useEngine } = await import('../engine/index.js');
    await useEngine(engine);
  }

  /** A progress display on stderr. */
  progress(options: Omit<ProgressOptions, 'stream'>): Progress {
    return new Progress(options);
  }

  /** A line for people, on stderr. */
  note(line: string): void {
    process.stderr.write(`${oneLine(line)}\n`);
  }

  /** The result: one JSON object with `--json`, the lines without. Nothing else writes to stdout. */
  result(json: object, lines: readonly string[]): void {
    process.stdout.write(
      this.options.json ? `${safeJson(json)}\n` : lines.map((line) => `${oneLine(line)}\n`).join(''),
    );
  }

  /** Runs the program and ends the process with its exit code. */
  async run(program: () => Promise<unknown>): Promise<never> {
    for (const stream of [process.stdout, process.stderr]) stream.on('error', quietOnClosedPipe);
    for (const event of ['uncaughtException', 'unhandledRejection'] as const)
      process.on(event, (error) => process.exit(this.report(error)));
    try {
      await program();
    } catch (error) {
      return process.exit(this.report(error));
    }
    return process.exit(this.exitCode);
  }

  private readonly onInterrupt = (name: NodeJS.Signals): void => {
    if (this.interrupt !== undefined) return;
    this.interrupt = name as Interrupt;
    // The next signal is the system's: it ends a process that no longer comes to run JavaScript.
    for (const other of INTERRUPTS) process.off(other, this.onInterrupt);
    this.note('Stopping after this step. Interrupt again to stop at once.');
    this.controller.abort(new AbortedError('E_ABORTED', 'stopped on request.'));
  };

  /** Prints one line, with the stack under `--debug`. @returns the exit code. */
  private report(error: unknown): number {
    if (error instanceof CommanderError) return this.reportUsage(error);
    const known = expectedError(error);
    const line = known
      ? known.message
      : `E_INTERNAL internal error: ${messageOf(error)}. This is a bug: please report it, with what --debug prints.`;
    process.stderr.write(`${oneLine(line)}\n`);
    if (this.wantsStack() && error instanceof Error) process.stderr.write(`${linesOf(stackOf(error))}\n`);
    if (!known) return EXIT.internal;
    return known instanceof AbortedError && this.interrupt ? INTERRUPT_CODES[this.interrupt] : known.exitCode;
  }

  /** Commander has printed help and version already; its complaints come here. */
  private reportUsage(error: CommanderError): number {
    if (error.exitCode === 0) return EXIT.ok;
    if (error.code !== 'commander.help')
      process.stderr.write(
        `E_USAGE ${oneLine(error.message.replace(/^error: /, '').replace(/\.$/, ''))}. See --help.\n`,
      );
    return EXIT.usage;
  }

  /** The arguments are asked too: an error may come before they are parsed. */
  private wantsStack(): boolean {
    return this.options.debug === true || process.argv.includes('--debug');
  }
}

/** Errors of ours, refusals of the operating system and the end of the memory, which are never bugs. */
function expectedError(error: unknown): TesseraeError | undefined {
  if (error instanceof TesseraeError) return error;
  if (isOutOfMemory(error))
    return new MemoryError('E_MEMORY', `no memory left (${firstLineOf(error)}). ${SMALLER}`, { cause: error });
  const { syscall, path } = (error ?? {}) as NodeJS.ErrnoException;
  return syscall === undefined ? undefined : fileError(error, path ?? syscall, syscall);
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}

/** Control characters, which a file name, a caption or a network may hold, must not reach a terminal. */
function oneLine(text: string): string {
  return printable(text.replace(/\s*\n\s*/g, ' '));
}

/** Likewise, for text that is broken into lines by us. */
function linesOf(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/** The same value, without a raw character that a terminal would obey: JSON leaves some of them as they are. */
function safeJson(value: object): string {
  return JSON.stringify(value).replace(
    /[\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function quietOnClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  throw error;
}
