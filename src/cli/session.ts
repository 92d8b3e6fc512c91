// Everything around a command: signals, output streams, one-line errors and the exit code.
import { CommanderError } from 'commander';
import {
  AbortedError,
  EngineError,
  EXIT,
  MemoryError,
  TesseraeError,
  firstLineOf,
  messageOf,
  printable,
} from '../errors.js';
import { fileError } from '../files/system.js';
import { SMALLER, isOutOfMemory } from '../memory.js';
import { nativeMissing, tellOfFallback } from '../native.js';
import { Progress } from '../report/progress.js';
import type { ProgressOptions } from '../report/progress.js';

type Interrupt = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

const INTERRUPT_CODES: Record<Interrupt, number> = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
const INTERRUPTS = Object.keys(INTERRUPT_CODES) as Interrupt[];

/** Options of every command. */
export interface GlobalOptions {
  engine?: 'onnxruntime' | 'tensorflow' | 'reference';
  threads?: number;
  plugin?: string[];
  json?: boolean;
  debug?: boolean;
}

/** One run of the command line, from the arguments to the exit code. */
export class Session {
  /** Exit code of a command that finishes. */
  exitCode: number = EXIT.ok;
  private options: GlobalOptions = {};
  /** Explains an error of a plugin. Set when plugins are loaded. */
  private pluginError: (error: unknown) => TesseraeError | undefined = () => undefined;
  private readonly controller = new AbortController();
  private interrupt: Interrupt | undefined;

  /**
   * Aborts at the first SIGINT, SIGTERM or SIGHUP (a closed terminal). A command that uses this signal saves its work.
   * Other commands are terminated immediately by the system, even inside native code.
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
    if (command !== 'doctor') this.warnOfMissingLibrary();
    await import('../engine/register-node.js');
    await this.loadPlugins();
  }

  private async loadPlugins(): Promise<void> {
    const { plugin = [] } = this.options;
    if (plugin.length === 0) return;
    // Registers the package's own first.
    const api = await import('../index.js');
    const [{ pluginError, usePlugin }, { registrations }] = await Promise.all([
      import('../sdk/plugin.js'),
      import('../registered.js'),
    ]);
    this.pluginError = pluginError;
    for (const module of new Set(plugin)) {
      const before = registrations();
      await usePlugin(module, async () => api);
      if (registrations() === before)
        this.note(
          `warning: --plugin ${module} registered nothing. Its default export must call registerMedium, registerCodec, registerPrior or registerQuantizer of the package, which is its argument.`,
        );
    }
  }

  /** Warns about a missing native library in every command, so that it is repaired before it slows down a long job. */
  private warnOfMissingLibrary(): void {
    if ((this.options.engine ?? 'onnxruntime') !== 'onnxruntime' || process.env.TESSERAE_ORT === 'wasm') return;
    const reason = nativeMissing();
    if (reason !== undefined) tellOfFallback(reason);
  }

  /**
   * Starts the selected engine. Commands call this after checking their arguments, because it loads large libraries.
   */
  async startEngine(): Promise<void> {
    const { engine } = this.options;
    if (engine === undefined || engine === 'onnxruntime') return;
    const { useEngine } = await import('../engine/index.js');
    await useEngine(engine);
  }

  /** Creates a progress display on stderr. */
  progress(options: Omit<ProgressOptions, 'stream'>): Progress {
    return new Progress(options);
  }

  /** Prints a line for people on stderr. */
  note(line: string): void {
    process.stderr.write(`${oneLine(line)}\n`);
  }

  /** Prints the result: one JSON object with `--json`, the given lines otherwise. Nothing else writes to stdout. */
  result(json: object, lines: readonly string[]): void {
    process.stdout.write(
      this.options.json ? `${safeJson(json)}\n` : lines.map((line) => `${oneLine(line)}\n`).join(''),
    );
  }

  /** Writes the bytes of a file to stdout, in place of a result. What is for people goes to stderr. */
  async bytes(content: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) =>
      process.stdout.write(content, (error) => (error ? reject(error) : resolve())),
    );
  }

  /** Runs the program and ends the process with its exit code. */
  async run(program: () => Promise<unknown>): Promise<never> {
    for (const stream of [process.stdout, process.stderr]) stream.on('error', quietOnClosedPipe);
    for (const event of ['uncaughtException', 'unhandledRejection'] as const)
      process.on(event, (error) => process.exit(this.report(error)));
    // Nothing is left to do, but the program has not ended. Whoever knows why answers before.
    process.on('beforeExit', () => setImmediate(() => process.exit(this.report(unfinished()))));
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
    // The next signal has its default effect, which ends a process that no longer gets to run JavaScript.
    for (const other of INTERRUPTS) process.off(other, this.onInterrupt);
    this.note('Stopping after this step. Interrupt again to stop immediately.');
    this.controller.abort(new AbortedError('E_ABORTED', 'stopped on request.'));
  };

  /** Prints an error in one line, its stack with `--debug`, and one JSON object with `--json`. @returns The exit code. */
  private report(error: unknown): number {
    if (error instanceof CommanderError) return this.reportUsage(error);
    const known =
      expectedError(error) ??
      this.pluginError(error) ??
      new EngineError(
        'E_INTERNAL',
        `internal error: ${messageOf(error)}. This is a bug: please report it with the output of --debug.`,
        { cause: error },
      );
    process.stderr.write(`${oneLine(known.message)}\n`);
    if (this.wantsStack() && error instanceof Error) process.stderr.write(`${linesOf(stackOf(error))}\n`);
    const isStopped = known instanceof AbortedError && this.interrupt !== undefined;
    if (isStopped && known.message.includes('--resume')) this.note(`Continue with: ${resumeCommand()}`);
    return this.fail(known.code, known.detail, isStopped ? INTERRUPT_CODES[this.interrupt!] : known.exitCode);
  }

  /** Prints an error as JSON, if JSON is asked for. @returns its exit code. */
  private fail(code: string, message: string, exitCode: number): number {
    if (process.argv.includes('--json')) process.stdout.write(`${safeJson({ error: { code, message, exitCode } })}\n`);
    return exitCode;
  }

  /** Reports errors of Commander, which has already printed help and version. */
  private reportUsage(error: CommanderError): number {
    if (error.exitCode === 0) return EXIT.ok;
    if (error.code === 'commander.help') return EXIT.usage;
    const message = `${oneLine(error.message.replace(/^error: /, '').replace(/\.$/, ''))}. See --help.`;
    process.stderr.write(`E_USAGE ${message}\n`);
    return this.fail('E_USAGE', message, EXIT.usage);
  }

  /** Also checks the raw arguments, because an error may occur before they are parsed. */
  private wantsStack(): boolean {
    return this.options.debug === true || process.argv.includes('--debug');
  }
}

/**
 * Returns expected errors: Tesserae's own, those of the operating system, and running out of memory. They are never
 * bugs.
 */
function expectedError(error: unknown): TesseraeError | undefined {
  if (error instanceof TesseraeError) return error;
  if (isOutOfMemory(error))
    return new MemoryError('E_MEMORY', `no memory left (${firstLineOf(error)}). ${SMALLER}`, { cause: error });
  const { syscall, path } = (error ?? {}) as NodeJS.ErrnoException;
  return syscall === undefined ? undefined : fileError(error, path ?? syscall, syscall);
}

/** The command that goes on with this one, for a shell. */
function resumeCommand(): string {
  const words = [...process.argv.slice(2).filter((word) => word !== '--force' && word !== '--resume'), '--resume'];
  const quoted = words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`));
  return `tesserae ${quoted.join(' ')}`;
}

function unfinished(): EngineError {
  return new EngineError(
    'E_UNFINISHED',
    'command: expected it to finish, but it waits for a promise that never settles. If a plugin is loaded, check its functions; otherwise please report this bug.',
  );
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}

/**
 * Joins lines and removes control characters, which a file name, a caption or a network may contain and which must not
 * reach a terminal.
 */
function oneLine(text: string): string {
  return printable(text.replace(/\s*\n\s*/g, ' '));
}

/** Removes control characters from text that is meant to have several lines. */
function linesOf(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/** Serializes a value and escapes the characters that JSON leaves unescaped but a terminal would interpret. */
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
