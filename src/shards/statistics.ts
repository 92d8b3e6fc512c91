// Counts how often each code of each map is used, for codebook usage, entropy and perplexity.
import type { Split } from '../interfaces/dataset.js';
import type { ShardReader } from './reader.js';

export interface MapUsage {
  name: string;
  vocabSize: number;
  /** Number of ids counted. */
  total: number;
  /** float64 [vocabSize]: occurrences of each id. */
  counts: Float64Array;
}

/**
 * Counts the ids of each map of a dataset, in memory that does not grow with the dataset.
 *
 * @throws {CorruptError} the errors of {@link ShardReader.read}.
 */
export async function usageStatistics(
  reader: ShardReader,
  splits: readonly Split[] = ['train', 'test'],
): Promise<{ samples: number; maps: MapUsage[] }> {
  const maps = reader.maps.map(({ name, vocabSize }) => ({
    name,
    vocabSize,
    total: 0,
    counts: new Float64Array(vocabSize),
  }));
  let samples = 0;
  for (const split of splits) {
    for await (const sample of reader.stream(split)) {
      samples++;
      sample.tokens.maps.forEach(({ ids }, i) => count(ids, maps[i]!));
    }
  }
  return { samples, maps };
}

function count(ids: Uint16Array | Uint32Array, usage: MapUsage): void {
  for (const id of ids) usage.counts[id]! += 1;
  usage.total += ids.length;
}
