// Loaded models stand wherever directories do: same results, and they stay the caller's.
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  codeMap,
  compareCodecs,
  decodeTokens,
  evaluateCodec,
  evaluatePrior,
  generate,
  interpolate,
  loadCodec,
  loadPrior,
  memoryDataset,
  primeCodes,
  tokenize,
} from '../../src/index.js';
import type { Dataset, LoadedCodec, LoadedPrior } from '../../src/index.js';
import { picture, temporaryDirectory } from '../support/tiny.js';

const SHAPES = join(import.meta.dirname, '../../fixtures/models/shapes');
const PROMPT = 'a small red circle above a large blue square';

let codec: LoadedCodec;
let prior: LoadedPrior;
const data: Dataset = memoryDataset(
  Array.from({ length: 6 }, (_, i) => ({
    key: `p${i}`,
    media: picture(i, 32, 3),
    captions: [PROMPT],
    split: i < 3 ? ('train' as const) : ('test' as const),
  })),
);

beforeAll(async () => {
  [codec, prior] = [await loadCodec(SHAPES), await loadPrior(SHAPES)];
});

afterAll(() => {
  codec.dispose();
  prior.dispose();
});

describe('a loaded model in place of its directory', () => {
  it('generates the same samples, with the codec that the prior carries or another', async () => {
    const expected = await generate({ prior: SHAPES, prompts: [PROMPT], sampling: { seed: 3 } });
    for (const models of [{ prior }, { prior, codec }, { prior, codec: SHAPES }, { prior: SHAPES, codec }]) {
      const { media, tokens, made } = await generate({ ...models, prompts: [PROMPT], sampling: { seed: 3 } });
      expect(media).toEqual(expected.media);
      expect(tokens).toEqual(expected.tokens);
      expect(made).toEqual(expected.made);
    }
    expect((await prior.carriedCodec()).fingerprint).toBe(codec.fingerprint);
    expect(await prior.carriedCodec()).toBe(await prior.carriedCodec());
  });

  it('primes, tokenizes, decodes and evaluates alike', async () => {
    const folder = temporaryDirectory();
    const sample = picture(1, 32, 3);
    const tokens = join(folder, 'tokens');
    expect(await primeCodes({ prior, sample })).toEqual(await primeCodes({ prior: SHAPES, sample }));
    const made = await tokenize({ data, codec, out: tokens, workers: 0 });
    const other = await tokenize({ data, codec: SHAPES, out: join(folder, 'other'), workers: 0 });
    expect(made.manifest.fingerprint).toBe(other.manifest.fingerprint);
    expect(await decodeTokens({ tokens, codec, out: join(folder, 'out') })).toMatchObject({ samples: 6 });
    const [own, stored] = [await evaluateCodec({ codec, data }), await evaluateCodec({ codec: SHAPES, data })];
    expect(own.nmse).toBe(stored.nmse);
    expect(await evaluatePrior({ prior, tokens })).toEqual(await evaluatePrior({ prior: SHAPES, tokens }));
  });

  it('explores alike', async () => {
    const sample = picture(1, 32, 3);
    expect(await codeMap({ codec, sample })).toEqual(await codeMap({ codec: SHAPES, sample }));
    const ends = { from: sample, to: picture(2, 32, 3), steps: 2 };
    expect(await interpolate({ codec, ...ends })).toEqual(await interpolate({ codec: SHAPES, ...ends }));
  });

  it('names models by where they were opened', async () => {
    await expect(compareCodecs({ codecs: [codec, SHAPES], data })).rejects.toThrow(
      /E_COMPARE CODEC .*fixtures\/models\/shapes: expected another codec/,
    );
  });

  it('refuses a model of the other kind, and what is no model', async () => {
    const wrong = async (options: unknown): Promise<unknown> => generate(options as Parameters<typeof generate>[0]);
    const cases: [unknown, string][] = [
      [{ prior: codec, prompts: [] }, 'generate: prior: expected a path or a loaded prior, received a loaded codec.'],
      [{ prior: undefined, prompts: [] }, 'generate: prior: expected a path or a loaded prior, received undefined.'],
      [
        { prior, codec: prior, prompts: [] },
        'generate: codec: expected a path or a loaded codec, received a loaded prior.',
      ],
    ];
    for (const [options, message] of cases)
      await expect(wrong(options)).rejects.toMatchObject({ code: 'E_OPTIONS', message: `E_OPTIONS ${message}` });
  });

  it('is disposed by its caller, and then refused', async () => {
    const own = await loadPrior(SHAPES);
    const carried = await own.carriedCodec();
    own[Symbol.dispose]();
    await expect(generate({ prior: own, prompts: [PROMPT] })).rejects.toMatchObject({ code: 'E_ENGINE_DISPOSED' });
    await expect(carried.encode(picture(1, 32, 3))).rejects.toMatchObject({ code: 'E_ENGINE_DISPOSED' });
  });

  it('has no codec to offer where the prior carries none', async () => {
    const lonely = join(temporaryDirectory(), 'prior');
    mkdirSync(lonely);
    cpSync(SHAPES, lonely, { recursive: true, filter: (path) => !path.startsWith(join(SHAPES, 'codec')) });
    const alone = await loadPrior(lonely);
    await expect(generate({ prior: alone, prompts: [PROMPT] })).rejects.toMatchObject({ code: 'E_NO_CODEC' });
    expect((await generate({ prior: alone, codec, prompts: [PROMPT] })).media).toHaveLength(1);
    alone.dispose();
  });
});
