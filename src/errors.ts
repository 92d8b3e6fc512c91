// Error messages have the form `CODE where: expected, received. Remedy.` The class determines the kind of error and the
// exit code of the command line, `code` is a stable identifier for programs, and `cause` holds the original error.

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

/** Base class of all errors that Tesserae throws deliberately. Any other error is a bug. */
export abstract class TesseraeError extends Error {
  abstract readonly exitCode: number;
  readonly detail: string;

  /**
   * @param code   Stable identifier: `E_` and upper snake case, e.g. `E_SHARD_CRC`.
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

/**
 * Maximum length of a message. The middle is cut, because the beginning says where the error occurred and the end has
 * the remedy.
 */
const LONGEST_DETAIL = 2000;

function withoutMiddle(detail: string): string {
  return detail.length <= LONGEST_DETAIL
    ? detail
    : `${detail.slice(0, LONGEST_DETAIL - 300)} ... ${detail.slice(-300)}`;
}

/** An invalid or contradictory argument, option or config (exit 2). */
export class UsageError extends TesseraeError {
  readonly exitCode = EXIT.usage;
}

/** A tensor, batch or token grid with the wrong shape, dtype or range (exit 2). */
export class ShapeError extends TesseraeError {
  readonly exitCode = EXIT.usage;
}

/** Media, captions or datasets that cannot be used (exit 3). */
export class InputError extends TesseraeError {
  readonly exitCode = EXIT.input;
}

/** A shard, checkpoint or model that is damaged, or that does not match the file it is used with (exit 4). */
export class CorruptError extends TesseraeError {
  readonly exitCode = EXIT.corrupt;
}

/** A failure of the disk or the operating system (exit 5). */
export class IoError extends TesseraeError {
  readonly exitCode = EXIT.io;
}

/** There is not enough memory (exit 5). */
export class MemoryError extends TesseraeError {
  readonly exitCode = EXIT.io;
}

/** Another running process holds the output directory (exit 6). */
export class LockError extends TesseraeError {
  readonly exitCode = EXIT.locked;
}

/** Training produced a value that is not finite (exit 8). */
export class DivergedError extends TesseraeError {
  readonly exitCode = EXIT.diverged;
}

/**
 * The engine cannot lower, build or run a traced function (exit 1, because it is a limitation of this version, not an
 * error of the input).
 */
export class EngineError extends TesseraeError {
  readonly exitCode = EXIT.internal;
}

/** A long call was stopped by its AbortSignal. The command line exits with 129, 130 or 143 instead. */
export class AbortedError extends TesseraeError {
  readonly exitCode = 130;
}

/** Returns the message of any thrown value. Errors of another realm are not instances of Error. */
export function messageOf(error: unknown): string {
  try {
    const { message } = (error ?? {}) as { message?: unknown };
    return typeof message === 'string' ? message : String(error);
  } catch {
    return 'a value without a text'; // such as Object.create(null)
  }
}

/**
 * Replaces characters that a terminal would interpret rather than show by question marks: control characters, line
 * breaks and characters that change the writing direction.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/gu, '?');
}

/** Returns the first line of an error's message. Messages of third-party errors can be pages long. */
export function firstLineOf(error: unknown): string {
  return messageOf(error).split('\n')[0]!.trim();
}
