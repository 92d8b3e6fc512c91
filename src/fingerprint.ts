// Fingerprints name models and datasets by their contents: a sha256, hexadecimal.
import { CorruptError } from './errors.js';

/** The first twelve digits, which are what people see. */
export const shortFingerprint = (fingerprint: string): string => fingerprint.slice(0, 12);

/**
 * Checks that two fingerprints are those of one codec.
 *
 * @param where names what is for `expected`, for the error.
 * @throws {CorruptError} E_CODEC_MISMATCH unless they are equal.
 */
export function expectCodec(
  where: string,
  { expected, received, remedy }: { expected: string; received: string; remedy: string },
): void {
  if (received === expected) return;
  throw new CorruptError(
    'E_CODEC_MISMATCH',
    `${where}: expected codec ${shortFingerprint(expected)}, received ${shortFingerprint(received)}. ${remedy}`,
  );
}
