// Inspects token datasets.
import { join } from 'node:path';
import { CorruptError } from '../errors.js';
import { nodeFiles } from '../files/system.js';
import { readJson } from '../files/read.js';
import { sha256 } from '../hash.js';
import { CodebookMeter } from '../metrics/codebook.js';
import { partNumber } from '../shards/format.js';
import { ShardReader } from '../shards/reader.js';
import { verifyCarriedCodec } from './models.js';
import type { MapInspection, TokensInspection } from './inspection.js';

/** Whether a directory contains tokens, perhaps without their manifest. */
export function isTokens(path: string, names: readonly string[]): boolean {
  if (names.some((name) => partNumber(name) !== undefined)) return true;
  if (!names.includes('manifest.json')) return false;
  return (readJson(join(path, 'manifest.json')) as { format?: unknown } | null)?.format === 'tesserae-tokens';
}

/** Verifies tokens completely, and counts their codes. Damage is reported as `health`. */
export async function inspectTokens(path: string, names: readonly string[]): Promise<TokensInspection> {
  const parts = names.filter((name) => partNumber(name) !== undefined);
  const bytes = parts.reduce((sum, name) => sum + nodeFiles.status(join(path, name))!.size, 0);
  const damaged = (problem: string): TokensInspection => ({
    kind: 'tokens',
    fingerprint: null,
    path,
    parts: parts.length,
    bytes,
    maps: [],
    health: { ok: false, problem },
  });
  if (!names.includes('manifest.json')) {
    return damaged(
      `E_NOT_A_DATASET ${path}: expected manifest.json, found ${parts.length} parts without one: tokenizing was interrupted. Finish it with --resume, or run repair.`,
    );
  }
  const reader = await openDamaged(path);
  if (reader instanceof CorruptError) return damaged(reader.message);
  try {
    const { codec, source, classes, fingerprint } = reader.manifest;
    const samples = { train: reader.size('train'), test: reader.size('test') };
    const common = {
      kind: 'tokens' as const,
      fingerprint,
      path,
      samples,
      parts: parts.length,
      bytes,
      codec: codec.fingerprint,
      source,
      classes,
    };
    return { ...common, ...(await contentOf(reader)) };
  } finally {
    await reader.close();
  }
}

/** Opens tokens. Damage is returned, not thrown, because it is what inspections are for. */
async function openDamaged(path: string): Promise<ShardReader | CorruptError> {
  try {
    return await ShardReader.open(path);
  } catch (error) {
    if (error instanceof CorruptError) return error;
    throw error;
  }
}

async function contentOf(reader: ShardReader): Promise<Pick<TokensInspection, 'maps' | 'captions' | 'health'>> {
  const meters = reader.maps.map((map) => new CodebookMeter(map));
  const captions = new Set<string>();
  try {
    for (const split of ['train', 'test'] as const) {
      for await (const sample of reader.stream(split)) {
        sample.tokens.maps.forEach(({ ids }, i) => meters[i]!.add(ids));
        for (const caption of sample.captions) captions.add(sha256(caption));
      }
    }
    await (await ShardReader.open(reader.directory, { verify: 'full' })).close();
    verifyCarriedCodec(reader.directory, reader.codec.fingerprint);
  } catch (error) {
    if (error instanceof CorruptError) return { maps: reader.maps, health: { ok: false, problem: error.message } };
    throw error;
  }
  const used = meters.map((meter) => meter.result());
  const maps = reader.maps.map((map, i): MapInspection => ({
    ...map,
    used: used[i]!.used,
    usage: used[i]!.usage,
    entropyRatio: used[i]!.entropyRatio,
    perplexity: used[i]!.perplexity,
  }));
  return { maps, captions: captions.size, health: { ok: true } };
}
