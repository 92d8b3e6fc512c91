// Tokens in a file of their own: one part without a manifest. FORMAT.md describes it.
import { basename } from 'node:path';
import { UsageError } from '../errors.js';
import { expectCodec } from '../fingerprint.js';
import { readHead } from '../files/read.js';
import { guarded, nodeFiles } from '../files/system.js';
import { sha256 } from '../hash.js';
import type { TokenSample } from '../interfaces/tokens.js';
import { LIMITS, fullCard, partName, partNumber } from './format.js';
import type { ShardCard, ShardHeader } from './format.js';
import { PartReader, PartWriter, encodeRecord } from './part.js';
import { decodeSample, encodeSample } from './sample.js';

/** The start of a part: the first field of its header. */
const MARK = Buffer.from('\xa6format\xaetesserae-shard', 'latin1');

/** Nothing was skipped: the mark of an empty rejects.jsonl. */
const NO_REJECTS = { count: 0, sha256: sha256('') };

/** What a file of tokens contains, besides the ids. */
export interface TokenFile {
  header: Pick<ShardHeader, 'codec' | 'maps' | 'source'>;
  samples: TokenSample[];
}

/** Whether a file starts as parts of tokens do. */
export function isTokenFile(path: string): boolean {
  const head = readHead(path, 1 + MARK.length);
  return (head[0]! & 0xf0) === 0x80 && MARK.equals(head.subarray(1));
}

/** @throws {UsageError} E_OUTPUT_NAME for a name that the parts of a dataset have. */
export function refusePartName(path: string): void {
  if (partNumber(basename(path)) !== undefined)
    throw new UsageError(
      'E_OUTPUT_NAME',
      `--out ${path}: expected a name other than those of the parts of a dataset. Choose another, such as tokens.msgpack.`,
    );
}

/**
 * Writes samples to a file of their own. The file appears when it is complete.
 *
 * @returns the number of its bytes. @throws {UsageError} E_SHARD_CARD, E_SAMPLE naming the sample.
 * @throws {IoError} E_IO, E_DISK_FULL.
 */
export function writeTokenFile(path: string, card: ShardCard, samples: readonly TokenSample[]): number {
  const full = fullCard(card, LIMITS.partSamples, LIMITS.partBytes);
  return guarded(path, 'writing', () => {
    const part = new PartWriter(path, partName(0), 0, 'train', full, nodeFiles);
    try {
      for (const sample of samples) part.append(encodeRecord(encodeSample(sample, full)));
      return part.commit(NO_REJECTS).bytes;
    } catch (error) {
      part.discard();
      throw error;
    }
  });
}

/**
 * Reads a file of tokens, or one part of a dataset, and verifies every byte.
 *
 * @param codec fingerprint that the tokens must have.
 * @throws {UsageError} E_NOT_TOKENS for another file. @throws {CorruptError} E_CODEC_MISMATCH, E_SHARD_HEADER, E_SHARD_FOOTER,
 *   E_SHARD_RECORD, E_SHARD_VERSION, E_SAMPLE naming file, record and offset.
 */
export function readTokenFile(path: string, { codec }: { codec?: string } = {}): TokenFile {
  if (!isTokenFile(path))
    throw new UsageError(
      'E_NOT_TOKENS',
      `${path}: expected a file of tokens, found other bytes. Give a file that "tesserae encode" wrote.`,
    );
  return guarded(path, 'reading', () => {
    const part = PartReader.open(path);
    try {
      const { header } = part;
      if (codec !== undefined)
        expectCodec(path, {
          expected: codec,
          received: header.codec.fingerprint,
          remedy: 'Name the codec that encoded the file.',
        });
      const samples = Array.from({ length: part.samples }, (_, record) =>
        decodeSample(part.payload(record), header, () => part.place(record)),
      );
      return { header: { codec: header.codec, maps: header.maps, source: header.source }, samples };
    } finally {
      part.close();
    }
  });
}
