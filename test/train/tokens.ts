// Token shards made of what a test says, without a codec.
import type { Split } from '../../src/interfaces/index.js';
import { Rng } from '../../src/rng.js';
import { ShardReader } from '../../src/shards/reader.js';
import { ShardWriter } from '../../src/shards/writer.js';
import { surveyTokens } from '../../src/train/survey.js';
import type { TokenSurvey } from '../../src/train/survey.js';
import { temporaryDirectory } from '../support/tiny.js';

export const TOKEN_MAP = { name: 'codes', grid: [2, 2], levels: 1, vocabSize: 6 };
export const TOKEN_CODEC = { fingerprint: 'c'.repeat(64), name: 'vqvae', config: {} };

export interface MadeSample {
  captions?: string[];
  label?: number;
  /** Default train. */
  split?: Split;
  /** Default drawn. */
  ids?: number[];
}

/** Writes samples `sample-0`, `sample-1`, ...; @returns their directory. */
export async function writeTokens(
  samples: readonly MadeSample[],
  { classes, map = TOKEN_MAP }: { classes?: string[]; map?: typeof TOKEN_MAP } = {},
): Promise<string> {
  const directory = temporaryDirectory();
  const writer = await ShardWriter.open(directory, {
    codec: TOKEN_CODEC,
    maps: [map],
    classes,
    source: 'test',
    dataset: 'd'.repeat(64),
  });
  for (const wanted of ['train', 'test'] as const) {
    for (const [i, { captions = [], label, split = 'train', ids }] of samples.entries()) {
      if (split !== wanted) continue;
      const rng = new Rng(i, 'test.tokens');
      const codes = Uint16Array.from(
        ids ?? Array.from({ length: map.grid[0]! * map.grid[1]! }, () => rng.int(map.vocabSize)),
      );
      const tokens = {
        codec: TOKEN_CODEC.fingerprint,
        media: { kind: 'image' as const, width: 8, height: 8, channels: 1 as const },
        maps: [{ ...map, ids: codes }],
      };
      await writer.append(split, { key: `sample-${i}`, tokens, captions, label });
    }
  }
  await writer.close();
  return directory;
}

export async function openTokens(
  samples: readonly MadeSample[],
  options?: Parameters<typeof writeTokens>[1],
): Promise<ShardReader> {
  return ShardReader.open(await writeTokens(samples, options));
}

/** `count` samples, each fourth held out. */
export const many = (count: number, make: (i: number) => MadeSample = () => ({})): MadeSample[] =>
  Array.from({ length: count }, (_, i) => ({ split: i % 4 === 3 ? 'test' : 'train', ...make(i) }));

export async function surveyOf(
  samples: readonly MadeSample[],
  options?: Parameters<typeof writeTokens>[1],
): Promise<TokenSurvey> {
  const tokens = await openTokens(samples, options);
  try {
    return await surveyTokens(tokens);
  } finally {
    await tokens.close();
  }
}
