// Sends errors between threads. Cloning an error keeps its message and stack, but loses its class and fields.
import {
  AbortedError,
  CorruptError,
  DivergedError,
  EngineError,
  InputError,
  IoError,
  LockError,
  MemoryError,
  messageOf,
  ShapeError,
  TesseraeError,
  UsageError,
} from '../errors.js';

const KINDS = {
  AbortedError,
  CorruptError,
  DivergedError,
  EngineError,
  InputError,
  IoError,
  LockError,
  MemoryError,
  ShapeError,
  UsageError,
};

/** An error as plain data. */
export type PackedError =
  | { kind: keyof typeof KINDS; code: string; detail: string; stack?: string }
  | { kind: 'Error'; message: string; stack?: string };

export function packError(error: unknown): PackedError {
  if (error instanceof TesseraeError) {
    const [kind] = Object.entries(KINDS).find(([, type]) => error instanceof type) as [keyof typeof KINDS, unknown];
    return { kind, code: error.code, detail: error.detail, stack: error.stack };
  }
  return error instanceof Error
    ? { kind: 'Error', message: error.message, stack: error.stack }
    : { kind: 'Error', message: messageOf(error) };
}

/** Restores an error as it was thrown, with the stack of its own thread. */
export function unpackError(packed: PackedError): Error {
  const error =
    packed.kind === 'Error' ? new Error(packed.message) : new KINDS[packed.kind](packed.code, packed.detail);
  return packed.stack === undefined ? error : Object.assign(error, { stack: packed.stack });
}
