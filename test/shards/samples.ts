// Small datasets of tokens for the shard tests: made from indices alone.
import { ShardWriter } from '../../src/shards/writer.js';
import type { ShardWriterOptions } from '../../src/shards/writer.js';
import type { ShardCard, ShardManifest } from '../../src/shards/format.js';
import type { Split } from '../../src/interfaces/dataset.js';
import type { TokenSample } from '../../src/interfaces/tokens.js';

export const CODEC = 'c0dec'.padEnd(64, '0');

export const CARD: ShardCard = {
  codec: { fingerprint: CODEC, name: 'vqvae', config: { codebookSize: 16, codeDim: 4 } },
  maps: [
    { name: 'top', grid: [2], levels: 1, vocabSize: 16 },
    { name: 'bottom', grid: [2, 3], levels: 1, vocabSize: 70_000 },
  ],
  classes: ['shoe', 'bag', 'hat'],
  source: 'test',
  dataset: 'da7a'.padEnd(64, '0'),
};

/** Sample `index` of a split: captions, label and media vary with the index. */
export function makeSample(split: Split, index: number): TokenSample {
  const base = index + (split === 'test' ? 1000 : 0);
  const sample: TokenSample = {
    key: `${split}/${index}`,
    tokens: {
      codec: CODEC,
      media:
        index % 2 === 0
          ? { kind: 'image', width: 8 + index, height: 8, channels: 3 }
          : { kind: 'audio', sampleRate: 16_000, channels: 1, frames: 100 + index },
      maps: [
        { name: 'top', grid: [2], levels: 1, vocabSize: 16, ids: Uint16Array.of(base % 16, (base * 7) % 16) },
        {
          name: 'bottom',
          grid: [2, 3],
          levels: 1,
          vocabSize: 70_000,
          ids: Uint32Array.from({ length: 6 }, (_, i) => (base * 7919 + i * 104_729) % 70_000),
        },
      ],
    },
    captions: [[], ['a schöner Schuh'], ['one', 'two 👟']][index % 3]!,
  };
  if (index % 4 !== 3) sample.label = index % 3;
  return sample;
}

/** Appends the samples of both splits that the writer does not have yet. */
export async function appendRest(writer: ShardWriter, counts: Record<Split, number>): Promise<void> {
  for (const split of ['train', 'test'] as const) {
    while (writer.done[split] < counts[split]) await writer.append(split, makeSample(split, writer.done[split]));
  }
}

/** Writes a whole dataset. */
export async function writeDataset(
  directory: string,
  counts: Record<Split, number>,
  options: ShardWriterOptions = {},
): Promise<ShardManifest> {
  const writer = await ShardWriter.open(directory, CARD, { shardSamples: 4, ...options });
  try {
    await appendRest(writer, counts);
    return await writer.close();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}
