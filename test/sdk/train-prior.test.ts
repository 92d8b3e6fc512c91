// What training a prior makes of the captions and labels that tokens carry, and what generating makes of prompts.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { evaluatePrior, loadPrior, trainPrior } from '../../src/index.js';
import type { SamplingOptions, TrainPriorOptions } from '../../src/index.js';
import { readModelCard, saveModel } from '../../src/checkpoint/model.js';
import { writeTokens } from '../train/tokens.js';
import type { MadeSample } from '../train/tokens.js';
import { temporaryDirectory } from '../support/tiny.js';

const SETTINGS = {
  config: { nLayer: 1, nHead: 2, nEmbd: 16 },
  text: { vocabSize: 300 },
  training: { steps: 3, batchSize: 8, warmupSteps: 1, checkpointEvery: 3 },
};

async function train(
  samples: readonly MadeSample[],
  {
    classes,
    settings = SETTINGS,
    ...options
  }: Partial<TrainPriorOptions> & { classes?: string[]; settings?: object } = {},
) {
  const out = temporaryDirectory();
  const [tokens, config, notes]: [string, string, string[]] = [
    await writeTokens(samples, { classes }),
    join(out, 'settings.json'),
    [],
  ];
  writeFileSync(config, JSON.stringify(settings));
  const card = await trainPrior({
    tokens,
    out: join(out, 'prior'),
    config,
    onNote: (text) => notes.push(text),
    ...options,
  });
  return { card, tokens, notes, prior: join(out, 'prior') };
}

const samplesOf = (count: number, make: (i: number) => MadeSample): MadeSample[] =>
  Array.from({ length: count }, (_, i) => ({ split: i % 5 === 4 ? 'test' : 'train', ...make(i) }));

describe('labels that are ids', () => {
  const names = Array.from({ length: 10_134 }, (_, i) => String(i));
  const mugs = samplesOf(20, (i) => ({ captions: [`a mug of color ${i}`], label: 500 * i + 3 }));

  it('lose to captions, and the run begins with a summary and the reason', async () => {
    const { card, notes } = await train(mugs, { classes: names });
    expect(card).toMatchObject({ conditioning: 'text' });
    expect(card.classes).toBeUndefined();
    expect(notes[0]).toMatch(
      /: 16 training and 4 held-out samples, 20 captioned \(20 distinct captions\), 20 labeled \(20 classes\); codes 2 x 2 of 6, 6 in use$/,
    );
    expect(notes[1]).toBe(
      'conditioning: text, because 20 of 20 samples have captions (20 distinct), and the labels are ids (20 values among 20 samples)',
    );
  });

  it('are refused as classes, and never more than ten of them are named', async () => {
    const refusal = await train(mugs, { classes: names, conditioning: 'label' }).catch(
      (error: unknown) => error as Error,
    );
    expect(refusal).toMatchObject({ code: 'E_LABEL_IDS', exitCode: 2 });
    expect((refusal as Error).message.length).toBeLessThan(400);
  });
});

describe('classes', () => {
  const names = Array.from({ length: 40 }, (_, i) => `class-${String(i).padStart(2, '0')}`);
  const labeled = samplesOf(60, (i) => ({ label: 2 * (i % 12) }));

  it('are those that occur, by their names wherever labels are counted in other classes', async () => {
    const { card, tokens, prior } = await train(labeled, { classes: names });
    expect(card.classes).toEqual(Array.from({ length: 12 }, (_, i) => names[2 * i]));
    const other = await writeTokens(
      samplesOf(60, (i) => ({ label: i % 12 })),
      { classes: card.classes },
    );
    expect(await evaluatePrior({ prior, tokens: other })).toEqual(await evaluatePrior({ prior, tokens }));
    const shifted = await writeTokens(
      samplesOf(60, (i) => ({ label: (i + 1) % 12 })),
      { classes: card.classes },
    );
    expect(await evaluatePrior({ prior, tokens: shifted })).not.toEqual(await evaluatePrior({ prior, tokens }));
    const foreign = await writeTokens(
      samplesOf(60, () => ({ label: 0 })),
      { classes: ['elsewhere'] },
    );
    await expect(evaluatePrior({ prior, tokens: foreign })).rejects.toMatchObject({
      code: 'E_PROMPT_CLASS',
      exitCode: 2,
      detail: expect.stringMatching(
        /^sample "sample-4": class "elsewhere": expected one of the prior's 12 classes \(.* and 2 more\)/,
      ),
    });
  });

  it('unknown to a prior are refused with ten of those it knows, and the closest one', async () => {
    const { prior: directory } = await train(labeled, { classes: names });
    const prior = await loadPrior(directory);
    await expect(prior.generate(['class-07'])).rejects.toMatchObject({
      code: 'E_PROMPT_CLASS',
      exitCode: 2,
      detail: expect.stringMatching(
        /^prompt "class-07": expected one of the 12 classes \(class-00, .*class-18 and 2 more\)\. The closest is "class-00"\.$/,
      ),
    });
    await expect(prior.generate(['mug '.repeat(100_000)])).rejects.toSatisfy(
      (error: Error) => error.message.length < 400,
    );
    expect(await prior.generate(['class-08'])).toHaveLength(1);
    prior.dispose();
  });
});

describe('a caption far longer than the others', () => {
  const long = 'a very long story of a mug, told word by word, '.repeat(120).trim();
  const samples = samplesOf(40, (i) => ({ captions: [i === 7 ? long : `a mug of color ${i % 3}`] }));

  it('is cut, counted and named, and costs the others nothing', async () => {
    const { card, notes, tokens, prior } = await train(samples);
    const { length } = (card.config as { text: { length: number } }).text;
    expect(length).toBeLessThan(20);
    expect(notes).toContainEqual(
      expect.stringMatching(
        new RegExp(`^warning: 1 caption cut to ${length} text tokens \\(longest [\\d,]+, sample sample-7\\)\\.`),
      ),
    );
    expect((await evaluatePrior({ prior, tokens })).samples).toBe(8);
  });

  it('is refused by its sample when asked, with an excerpt', async () => {
    const refusal = (await train(samples, { tooLong: 'refuse' }).catch((error: unknown) => error)) as Error;
    expect(refusal).toMatchObject({
      code: 'E_TEXT_TOO_LONG',
      exitCode: 2,
      message: expect.stringMatching(
        /sample "sample-7": expected at most 1,024 text tokens in a caption, received [\d,]+ \("a very long story/,
      ),
    });
    expect(refusal.message.length).toBeLessThan(400);
  });

  it('is cut to the length in the settings, or refused by it', async () => {
    const settings = { ...SETTINGS, text: { vocabSize: 300, length: 3 } };
    const { card, notes } = await train(samples, { settings });
    expect(card.config).toMatchObject({ text: { length: 3 } });
    expect(notes).toContainEqual(expect.stringMatching(/^warning: 40 captions cut to 3 text tokens/));
    await expect(train(samples, { settings, tooLong: 'refuse' })).rejects.toMatchObject({
      code: 'E_TEXT_TOO_LONG',
      message: expect.stringContaining('sample "sample-7": expected at most 3 text tokens'),
    });
    await expect(
      train(samples, { settings: { ...SETTINGS, text: { vocabSize: 300, length: 4000 } } }),
    ).rejects.toMatchObject({ code: 'E_CONFIG', message: expect.stringContaining('text.length') });
  });

  it('is no reason to cut when all fit', async () => {
    const { notes } = await train(
      samplesOf(40, (i) => ({ captions: [`a mug of color ${i % 3}`] })),
      { tooLong: 'refuse' },
    );
    expect(notes.filter((text) => text.includes('cut'))).toEqual([]);
  });
});

describe('a prompt longer than a prior reads', () => {
  it('is refused, or read up to where the prior can, which is told', async () => {
    const { prior: directory } = await train(samplesOf(40, (i) => ({ captions: [`a mug of color ${i % 3}`] })));
    const prior = await loadPrior(directory);
    const prompt = `a mug of color 2${' a mug of color 1'.repeat(4)}`;
    await expect(prior.generate([prompt])).rejects.toMatchObject({ code: 'E_TEXT_TOO_LONG', exitCode: 2 });
    const { read, tokens } = prior.cutPrompt(prompt)!;
    expect(prompt.startsWith(read.trim())).toBe(true);
    expect(tokens).toBeGreaterThan(prior.textLength!);
    expect(prior.cutPrompt('a mug')).toBeUndefined();
    const cut = await prior.generate([prompt], { tooLong: 'cut', seed: 3 });
    expect(cut).toEqual(await prior.generate([`${prompt} a mug`], { tooLong: 'cut', seed: 3 }));
    prior.dispose();
  });
});

describe('few captions', () => {
  it('are warned of, in the card too', async () => {
    const { notes, prior } = await train(samplesOf(40, (i) => (i < 10 ? { captions: ['a mug'] } : {})));
    expect(notes[1]).toBe('conditioning: text, because 10 of 40 samples have captions (1 distinct)');
    expect(notes).toContainEqual(
      'warning: 10 of 40 samples have captions; the others are trained unconditionally. Remedy: captions for more of them.',
    );
    expect(readModelCard(prior).training!['warnings']).toContainEqual(
      expect.stringContaining('10 of 40 samples have captions'),
    );
  });
});

describe('settings of what follows from the tokens', () => {
  const samples = samplesOf(20, (i) => ({ captions: ['a mug'], label: i % 2 }));
  const settings = (config: object) => ({ ...SETTINGS, config: { ...SETTINGS.config, ...config } });

  it('choose the conditioning, as the option does', async () => {
    const { card } = await train(samples, { classes: ['a', 'b'], settings: settings({ conditioning: 'none' }) });
    expect(card.conditioning).toBe('none');
  });

  it.each<[string, object, Partial<TrainPriorOptions>, string]>([
    [
      'other classes',
      { classes: ['x'] },
      {},
      'config.classes: expected none, because the tokens say ["a","b"], received ["x"].',
    ],
    ['other codes', { codes: { grid: [9] } }, {}, 'config.codes: expected none, because the tokens say {'],
    [
      'a conditioning that contradicts the option',
      { conditioning: 'label' },
      { conditioning: 'none' },
      '--conditioning none: expected "label", which the settings say in config.conditioning.',
    ],
  ])('are refused by name: %s', async (_, config, options, message) => {
    await expect(
      train(samples, { classes: ['a', 'b'], settings: settings(config), conditioning: 'label', ...options }),
    ).rejects.toThrow(`E_CONFIG ${message}`);
  });
});

describe('the codec of tokens', () => {
  const samples = samplesOf(20, () => ({}));

  it('is missed with a warning', async () => {
    const { notes } = await train(samples);
    expect(notes).toContainEqual(expect.stringMatching(/^warning: .* has no copy of its codec, .*--codec\.$/));
  });

  it('is opened before training, so that one that is not known wastes no work', async () => {
    const tokens = await writeTokens(samples);
    saveModel(join(tokens, 'codec'), { kind: 'codec', name: 'not-loaded', config: {} }, {});
    const [out, config] = [join(temporaryDirectory(), 'prior'), join(temporaryDirectory(), 'settings.json')];
    writeFileSync(config, JSON.stringify(SETTINGS));
    await expect(trainPrior({ tokens, out, config })).rejects.toMatchObject({ code: 'E_UNKNOWN_MODEL' });
    expect(existsSync(out)).toBe(false);
  });
});

describe('a prior without a condition', () => {
  it('takes no prompts', async () => {
    const { prior: directory } = await train(samplesOf(20, () => ({})));
    const prior = await loadPrior(directory);
    expect(await prior.generate([null])).toHaveLength(1);
    for (const prompt of ['a mug', 0])
      await expect(prior.generate([null, prompt])).rejects.toThrow(
        `E_PROMPT prompts[1]: expected null, because this prior was trained without captions or classes, received ${JSON.stringify(prompt)}.`,
      );
    prior.dispose();
  });
});

describe('sampling that a prior recommends', () => {
  const samples = samplesOf(20, (i) => ({ captions: [`a mug of color ${i % 4}`] }));
  const settings = { ...SETTINGS, sampling: { temperature: 0, topP: 0.9 } };

  it('comes from the settings, and holds for options that a call leaves out', async () => {
    const { card, prior, tokens } = await train(samples, { settings });
    expect(card.sampling).toEqual({ temperature: 0, topP: 0.9 });
    const loaded = await loadPrior(prior);
    const draw = async (options: SamplingOptions): Promise<string> =>
      JSON.stringify((await loaded.generate(['a mug'], options))[0]!.maps.map(({ ids }) => [...ids]));
    const greedy = await draw({ temperature: 0 });
    expect(await draw({ seed: 1 })).toBe(greedy);
    expect(await draw({ seed: 1, temperature: undefined } as SamplingOptions)).toBe(greedy);
    expect(await draw({ seed: 1, temperature: 1, topP: 1 })).not.toBe(greedy);
    loaded.dispose();

    const from = await train(samples, { settings: SETTINGS, config: undefined, from: prior, tokens, steps: 3 });
    expect(from.card.sampling).toEqual(card.sampling);
  });

  it('is refused when it is out of range', async () => {
    await expect(train(samples, { settings: { ...SETTINGS, sampling: { topP: 2 } } })).rejects.toMatchObject({
      code: 'E_CONFIG',
      message: expect.stringContaining('topP'),
    });
  });
});
