// Errors speak: `CODE where: expected, received. Remedy.` The class tells the kind (and the exit code of the
// command line), the stable `code` serves programs, `cause` keeps the wrapped failure.

/** Exit codes of the command line. */
export const EXIT = {
  ok: 0,
  internal: 1,
  usage: 2,
  input: 3,
  corrupt: 4,
  io: 5,
  locked: 6,
  skipped: 7,
  diverged: 8,
} as const;

/** Base of every error Tesserae raises on purpose; anything else that escapes is a bug. */
export abstract class TesseraeError extends Error {
  abstract readonly exitCode: number;
  readonly detail: string;

  /**
   * @param code   stable identifier, `E_` and upper snake case, e.g. `E_SHARD_CRC`.
   * @param detail `where: expected, received. Remedy.`
   */
  constructor(
    readonly code: string,
    detail: string,
    options?: { cause?: unknown },
  ) {
    const bounded = withoutMiddle(detail);
    super(`${code} ${bounded}`, options);
    this.detail = bounded;
    this.name = new.target.name;
  }
}

/** Nobody reads more of one line; where it fails stands at the beginning of a message, the remedy at its end. */
const LONGEST_DETAIL = 2000;

function withoutMiddle(detail: string): string {
  return detail.length <= LONGEST_DETAIL
    ? detail
    : `${detail.slice(0, LONGEST_DETAIL - 300)} ... ${detail.slice(-300)}`;
}

/** A wrong argument, option, config or a request that contradicts itself (exit 2). */
export class UsageError extends TesseraeError {
  readonly exitCode = EXIT.usage;
}

/** A tensor, batch or token grid of the wrong shape, dtype or range (exit 2). */
export class ShapeError extends TesseraeError {
  readonly exitCode = EXIT.usage;
}

/** Media, captions or datasets that cannot be used (exit 3). */
export class InputError extends TesseraeError {
  readonly exitCode = EXIT.input;
}

/** A shard, checkpoint or model that is damaged, or does not belong to its partner (exit 4). */
export class CorruptError extends TesseraeError {
  readonly exitCode = EXIT.corrupt;
}

/** The disk or the operating system refused (exit 5). */
export class IoError extends TesseraeError {
  readonly exitCode = EXIT.io;
}

/** The machine's memory does not suffice for what was asked (exit 5). */
export class MemoryError extends TesseraeError {
  readonly exitCode = EXIT.io;
}

/** Another live process holds the output directory (exit 6). */
export class LockError extends TesseraeError {
  readonly exitCode = EXIT.locked;
}

/** Training produced a value that is not finite (exit 8). */
export class DivergedError extends TesseraeError {
  readonly exitCode = EXIT.diverged;
}

/** The engine cannot lower, build or run a traced function (exit 1: a limit of this version, not of the input). */
export class EngineError extends TesseraeError {
  readonly exitCode = EXIT.internal;
}

/** A long call stopped because its AbortSignal fired. The command line turns it into 130 or 143. */
export class AbortedError extends TesseraeError {
  readonly exitCode = 130;
}

/** The message of anything thrown, for use inside another message. An error of another realm is not an instance of Error. */
export function messageOf(error: unknown): string {
  const { message } = (error ?? {}) as { message?: unknown };
  return typeof message === 'string' ? message : String(error);
}

/**
 * Text without what a terminal would obey rather than show: control characters, breaks of lines, and marks that turn the
 * direction of writing, each as a question mark.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/gu, '?');
}

/** Its first line: what others throw may go on for pages. */
export function firstLineOf(error: unknown): string {
  return messageOf(error).split('\n')[0]!.trim();
}
