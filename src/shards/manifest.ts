// manifest.json: written last, so that a dataset without one is not a dataset; covered by its own fingerprint.
import { join } from 'node:path';
import { CorruptError, UsageError } from '../errors.js';
import { canonicalJson, decodeUtf8, formatJson, parseJson } from '../json.js';
import { expectRegular, readFile } from '../files/read.js';
import { sha256 } from '../hash.js';
import { writeFileAtomic } from '../files/commit.js';
import type { FileSystem } from '../files/system.js';
import { MANIFEST, SHARD_FORMAT_VERSION, cardOf, checkManifest, partName } from './format.js';
import type { FullCard, ManifestPart, RejectsMark, ShardManifest } from './format.js';

const MANIFEST_LIMIT = 64 * 2 ** 20;

/** The manifest of a card, its parts and what was left out; `undefined` for datasets of format 1.0, which do not say. */
export function makeManifest(card: FullCard, parts: readonly ManifestPart[], rejects: RejectsMark): ShardManifest {
  const count = (split: string): number =>
    parts.reduce((sum, part) => sum + (part.split === split ? part.samples : 0), 0);
  const body = {
    format: 'tesserae-tokens' as const,
    version: SHARD_FORMAT_VERSION as string,
    ...cardOf(card),
    counts: { train: count('train'), test: count('test') },
    rejects,
    parts: [...parts],
  };
  return { ...body, fingerprint: sha256(canonicalJson(body)) };
}

export function writeManifest(directory: string, manifest: ShardManifest, files: FileSystem): void {
  writeFileAtomic(join(directory, MANIFEST), formatJson(manifest), files);
}

/**
 * Reads a dataset's manifest and verifies everything that can be verified without the parts.
 *
 * @throws {UsageError} E_NOT_FOUND, E_NOT_A_DATASET.
 * @throws {CorruptError} E_JSON, E_MANIFEST, E_SHARD_VERSION.
 */
export function readManifest(directory: string, files: FileSystem): ShardManifest {
  const path = join(directory, MANIFEST);
  if (files.status(directory) !== undefined && files.status(path) === undefined) {
    throw new UsageError(
      'E_NOT_A_DATASET',
      `${directory}: expected ${MANIFEST}, found none. Finish tokenizing with --resume, or run repair.`,
    );
  }
  expectRegular(path, 'E_MANIFEST', files);
  const text = decodeUtf8(readFile(path, { limit: MANIFEST_LIMIT, files }), path);
  const manifest = checkManifest(parseJson(text, path), path);
  const { fingerprint, ...body } = manifest;
  if (sha256(canonicalJson(body)) !== fingerprint || formatJson(ordered(manifest)) !== text) {
    throw new CorruptError(
      'E_MANIFEST',
      `${path}: expected the text that its fingerprint ${fingerprint} stands for, it was changed. Restore it, or run repair.`,
    );
  }
  checkParts(manifest, path);
  return manifest;
}

/** The manifest with its fields in the order they are written: bytes outside the fingerprint's reach cannot differ. */
function ordered(manifest: ShardManifest): ShardManifest {
  return {
    ...makeManifest(manifest, manifest.parts, manifest.rejects),
    version: manifest.version,
    fingerprint: manifest.fingerprint,
  };
}

function checkParts(manifest: ShardManifest, path: string): void {
  const { counts } = makeManifest(manifest, manifest.parts, manifest.rejects);
  for (const split of ['train', 'test'] as const) {
    if (counts[split] !== manifest.counts[split])
      throw new CorruptError(
        'E_MANIFEST',
        `${path}: expected ${manifest.counts[split]} ${split} samples, its parts have ${counts[split]}.`,
      );
  }
  manifest.parts.forEach((part, index) => {
    if (part.file !== partName(index))
      throw new CorruptError(
        'E_MANIFEST',
        `${path}: expected ${partName(index)} as part ${index}, found ${part.file}.`,
      );
  });
}
