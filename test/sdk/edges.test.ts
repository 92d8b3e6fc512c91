// What callers hand in is checked before anything is computed with it, and errors name its place.
import { join } from 'node:path';
import { expect, it } from 'vitest';
import {
  encodePng,
  imageGrid,
  loadCodec,
  loadPrior,
  nearestNeighbors,
  resizeImage,
  toIds,
  writeMedia,
} from '../../src/index.js';
import type { Image, Prompt, SamplingOptions, TokenSample, Tokens } from '../../src/index.js';
import { picture, temporaryDirectory } from '../support/tiny.js';

const models = join(import.meta.dirname, '../../fixtures/models/shapes');
const good = (): Image => picture(1, 32, 3);

const BAD_PICTURES: [string, unknown][] = [
  ['too few pixels', { ...good(), pixels: new Uint8Array(7) }],
  ['too many pixels', { ...good(), pixels: new Uint8Array(32 * 32 * 3 + 1) }],
  ['numbers that are not bytes', { ...good(), pixels: new Float32Array(32 * 32 * 3).fill(Number.NaN) }],
  ['a list of numbers', { ...good(), pixels: Array.from({ length: 32 * 32 * 3 }, () => 0) }],
  ['no width', { ...good(), width: Number.NaN }],
  ['two channels', { ...good(), channels: 2 }],
  ['sound', { kind: 'audio', sampleRate: 8000, channels: 1, samples: new Float32Array(4) }],
  ['nothing', null],
  ['text', 'cat.png'],
];

it.each(BAD_PICTURES)('refuses an image of %s everywhere, by its place', async (_, bad) => {
  const image = bad as Image;
  const out = temporaryDirectory();
  const codec = await loadCodec(models);
  const calls: [string, () => unknown][] = [
    ['encode[1]', () => codec.encode([good(), image])],
    ['encode', () => codec.encode(image)],
    ['imageGrid[1]', () => imageGrid([good(), image])],
    ['writeMedia[1]', () => writeMedia(join(out, 'a.png'), [good(), image])],
    ['nearestNeighbors[1]', () => nearestNeighbors([good(), image], out)],
    ['encodePng', () => encodePng(image)],
    ['resizeImage', () => resizeImage(image, { width: 4, height: 4 })],
  ];
  try {
    for (const [where, call] of calls) {
      const failure = Promise.resolve().then(call);
      await expect(failure, `${where}`).rejects.toMatchObject({ code: 'E_IMAGE_SHAPE', exitCode: 2 });
      await expect(failure, `${where}`).rejects.toThrow(`${where}: expected`);
    }
  } finally {
    codec.dispose();
  }
});

it('gives an image the same codes whatever is beside it', async () => {
  const codec = await loadCodec(models);
  const alone = await codec.encode(good());
  const [first] = await codec.encode([good(), picture(2, 32, 3)]);
  expect(first!.maps[0]!.ids).toEqual(alone.maps[0]!.ids);
  codec.dispose();
});

const tokensOf = async (): Promise<Tokens> => {
  const codec = await loadCodec(models);
  const tokens = await codec.encode(good());
  codec.dispose();
  return tokens;
};

const BAD_TOKENS: [string, string, (tokens: Tokens) => unknown][] = [
  ['an id of -1', 'E_TOKENS_RANGE', (tokens) => withIds(tokens, Int32Array.from(tokens.maps[0]!.ids).fill(-1, 5, 6))],
  [
    'an id beyond the vocabulary',
    'E_TOKENS_RANGE',
    (tokens) => withIds(tokens, Uint16Array.from(tokens.maps[0]!.ids).fill(256, 5, 6)),
  ],
  [
    'ids that are no array of whole numbers',
    'E_TOKENS_SHAPE',
    (tokens) => withIds(tokens, new Float32Array(64).fill(Number.NaN)),
  ],
  ['too few ids', 'E_TOKENS_SHAPE', (tokens) => withIds(tokens, new Uint16Array(3))],
  ['another shape', 'E_TOKENS_SHAPE', (tokens) => ({ ...tokens, maps: [{ ...tokens.maps[0], grid: [4, 16] }] })],
  ['no map', 'E_TOKENS_SHAPE', (tokens) => ({ ...tokens, maps: [] })],
  ['a map too many', 'E_TOKENS_SHAPE', (tokens) => ({ ...tokens, maps: [tokens.maps[0], tokens.maps[0]] })],
  ['another number of levels', 'E_TOKENS_SHAPE', (tokens) => ({ ...tokens, maps: [{ ...tokens.maps[0], levels: 2 }] })],
  ['nothing', 'E_TOKENS_SHAPE', () => null],
  ['no media', 'E_TOKENS_SHAPE', ({ codec, maps }) => ({ codec, maps })],
  ['media of no kind', 'E_TOKENS_SHAPE', (tokens) => ({ ...tokens, media: { ...tokens.media, kind: '' } })],
  ['media of no size', 'E_TOKENS_SHAPE', (tokens) => ({ ...tokens, media: { ...tokens.media, width: Number.NaN } })],
];

it.each([
  [
    'of another kind',
    { kind: 'audio', sampleRate: 8000, channels: 1, frames: 64 },
    'decode[0].media: expected an image',
  ],
  ['of a size below 1', { kind: 'image', width: 32, height: -32, channels: 3 }, 'decode[0].media.height'],
])('refuses to decode media %s', async (_, media, place) => {
  const codec = await loadCodec(models);
  try {
    await expect(codec.decode([{ ...(await tokensOf()), media }])).rejects.toMatchObject({
      code: 'E_TOKENS_SHAPE',
      message: expect.stringContaining(place) as string,
    });
  } finally {
    codec.dispose();
  }
});

function withIds(tokens: Tokens, ids: ArrayLike<number>): unknown {
  return { ...tokens, maps: [{ ...tokens.maps[0]!, ids }] };
}

it.each(BAD_TOKENS)('refuses tokens with %s, by their place', async (_, code, change) => {
  const tokens = await tokensOf();
  const bad = change(tokens) as Tokens;
  const [codec, prior] = [await loadCodec(models), await loadPrior(models)];
  const sample = (of: Tokens): TokenSample => ({ key: 'a', tokens: of, captions: ['a red circle'] });
  try {
    await expect(codec.decode([tokens, bad])).rejects.toMatchObject({
      code,
      message: expect.stringContaining('decode[1]') as string,
    });
    await expect(prior.score([sample(tokens), sample(bad)])).rejects.toMatchObject({
      code,
      message: expect.stringContaining('score[1]') as string,
    });
  } finally {
    codec.dispose();
    prior.dispose();
  }
});

it('refuses options, prompts and samples that make no sense', async () => {
  const tokens = await tokensOf();
  const prior = await loadPrior(models);
  const generate = (prompts: unknown, options: unknown): Promise<unknown> =>
    prior.generate(prompts as Prompt[], options as SamplingOptions);
  try {
    for (const n of [0, -1, 1.5, Number.NaN, '3', 1e9])
      await expect(generate(['a red circle'], { n }), `n ${n}`).rejects.toMatchObject({ code: 'E_SAMPLING' });
    for (const prompts of [[undefined], [{}], [1.5], 'a red circle', null])
      await expect(generate(prompts, {})).rejects.toMatchObject({ code: 'E_PROMPT' });
    for (const prime of [[-1], [256], [0.5], [Number.NaN], new Array<number>(64).fill(0)])
      await expect(generate([null], { prime })).rejects.toMatchObject({ code: 'E_SAMPLING' });
    for (const prime of [5, null, 'abc'])
      await expect(generate([null], { prime }), `prime ${prime}`).rejects.toMatchObject({ code: 'E_SAMPLING' });
    for (const options of [null, 5, { tooLong: 'x' }, { onNote: 5 }, { onProgress: 5 }])
      await expect(generate(['a red circle'], options)).rejects.toMatchObject({ code: 'E_SAMPLING', exitCode: 2 });
    for (const number of [-1, 5])
      await expect(generate([number], {}), `class ${number}`).rejects.toMatchObject({
        code: 'E_PROMPT',
        message: expect.stringContaining('prompts[0]: expected a text or null') as string,
      });
    for (const samples of [null, undefined, 'a', {}])
      await expect(prior.score(samples as unknown as TokenSample[])).rejects.toMatchObject({
        code: 'E_TOKENS_SHAPE',
        exitCode: 2,
      });
    await expect(generate(['a red circle'], { cfg: 1e308 })).rejects.toMatchObject({ code: 'E_SAMPLING' });
    for (const captions of [undefined, 'a red circle', [5]])
      await expect(prior.score([{ key: 'a', tokens, captions } as unknown as TokenSample])).rejects.toMatchObject({
        code: 'E_PROMPT',
      });
  } finally {
    prior.dispose();
  }
});

it('makes ids of whole numbers in range alone', () => {
  expect(toIds([0, 15], 16)).toEqual(Uint16Array.of(0, 15));
  for (const id of [-1, 16, 0.5, Number.NaN])
    expect(() => toIds([0, id], 16)).toThrow(/^E_TOKENS_RANGE toIds: expected ids .* at 1\./);
});
