import { describe, expect, it } from 'vitest';
import type { Conditioning } from '../../src/interfaces/index.js';
import { chooseConditioning, tokenConcerns } from '../../src/train/conditioning.js';
import { many, surveyOf } from './tokens.js';
import type { MadeSample } from './tokens.js';

const CLASSES = ['cat', 'dog', 'unused'];
const choose = async (
  samples: MadeSample[],
  classes?: string[],
  wish?: Conditioning,
  conditionings?: Conditioning[],
) => {
  const family = { name: 'a prior', ...(conditionings && { conditionings }) };
  const { conditioning, reason } = chooseConditioning(await surveyOf(samples, { classes }), wish, family);
  return `${conditioning}, ${reason}`;
};

describe('the conditioning', () => {
  const breeds = ['tabby', 'siamese', 'boxer', 'poodle', 'beagle'];

  it('leaves out what the prior cannot be conditioned on', async () => {
    const samples = many(40, (i) => ({ captions: [`a ${breeds[i % 5]}`], label: i % 2 }));
    expect(await choose(samples, CLASSES)).toMatch(/^text/);
    expect(await choose(samples, CLASSES, undefined, ['none', 'label'])).toBe(
      'label, because a prior cannot be conditioned on text',
    );
    expect(await choose(samples, CLASSES, undefined, ['none'])).toBe(
      'none, because a prior cannot be conditioned on text',
    );
    await expect(choose(samples, CLASSES, 'text', ['none', 'label'])).rejects.toThrow(
      'E_CONDITIONING --conditioning text: expected none or label, which is what a prior can be conditioned on.',
    );
  });

  it.each<[string, MadeSample[], string[] | undefined, string]>([
    [
      'captions alone',
      many(40, (i) => (i < 30 ? { captions: [`a ${breeds[i % 5]}`] } : {})),
      undefined,
      'text, because 30 of 40 samples have captions (5 distinct)',
    ],
    [
      'captions that say more than the classes',
      many(40, (i) => ({ captions: [`a ${breeds[i % 5]}`], label: i % 2 })),
      CLASSES,
      'text, because 40 of 40 samples have captions (5 distinct), which say more than the 2 classes',
    ],
    [
      'captions that repeat the classes',
      many(40, (i) => ({ captions: [`a photo of a ${CLASSES[i % 2]}`], label: i % 2 })),
      CLASSES,
      'label, 2 classes, because 40 of 40 samples have labels and the captions only repeat the class names',
    ],
    [
      'two templates for each class',
      many(40, (i) => ({ captions: [`a ${CLASSES[i % 2]}`, `the ${CLASSES[i % 2]}`], label: i % 2 })),
      CLASSES,
      'label, 2 classes, because 40 of 40 samples have labels and the captions only repeat the class names',
    ],
    [
      'labels alone',
      many(40, (i) => ({ label: i % 2 })),
      CLASSES,
      'label, 2 classes, because 40 of 40 samples have labels and no sample has a caption',
    ],
    [
      'ids and captions',
      many(20, (i) => ({ captions: [`a mug of color ${i % 7}`], label: i })),
      many(20, () => ({})).map((_, i) => String(i)),
      'text, because 20 of 20 samples have captions (7 distinct), and the labels are ids (20 values among 20 samples)',
    ],
    [
      'ids alone',
      many(20, (i) => ({ label: i })),
      many(20, () => ({})).map((_, i) => String(i)),
      'none, because no sample has a caption, and the labels are ids (20 values among 20 samples)',
    ],
    [
      'ids that the captions repeat',
      many(20, (i) => ({ captions: [`a photo of a ${i}`], label: i })),
      many(20, () => ({})).map((_, i) => String(i)),
      'none, because the labels are ids (20 values among 20 samples), and the captions only repeat them',
    ],
    [
      'a name for each sample',
      many(20, (i) => ({ captions: [`a photo of a ${'x'.repeat(i + 1)}`], label: i })),
      many(20, () => ({})).map((_, i) => 'x'.repeat(i + 1)),
      'text, because 20 of 20 samples have captions (20 distinct), and the labels are ids (20 values among 20 samples)',
    ],
    ['neither', many(20, () => ({})), undefined, 'none, because no sample has a caption or a label'],
  ])('of %s', async (_, samples, classes, expected) => {
    expect(await choose(samples, classes)).toBe(expected);
  });

  it('is what was asked for, where the tokens have it', async () => {
    const both = many(40, (i) => ({ captions: [`a ${breeds[i % 5]}`], label: i % 2 }));
    expect(await choose(both, CLASSES, 'label')).toBe('label, 2 classes, as --conditioning label asks');
    expect(await choose(both, CLASSES, 'text')).toBe(
      'text, as --conditioning text asks; 40 of 40 samples have captions (5 distinct)',
    );
    expect(await choose(both, CLASSES, 'none')).toBe('none, as --conditioning none asks');
    const plain = many(8, () => ({}));
    await expect(choose(plain, undefined, 'text')).rejects.toMatchObject({ code: 'E_NO_CAPTIONS', exitCode: 2 });
    await expect(choose(plain, undefined, 'label')).rejects.toMatchObject({ code: 'E_NO_CLASSES', exitCode: 2 });
    // Names without a sample are no classes.
    await expect(choose(plain, CLASSES, 'label')).rejects.toMatchObject({ code: 'E_NO_CLASSES', exitCode: 2 });
  });

  it('refuses ids as classes, naming a few of them', async () => {
    const names = Array.from({ length: 200 }, (_, i) => String(10_000 + i));
    const ids = many(20, (i) => ({ captions: ['a mug'], label: 10 * i }));
    await expect(choose(ids, names, 'label')).rejects.toMatchObject({
      code: 'E_LABEL_IDS',
      exitCode: 2,
      detail: expect.stringMatching(
        /found 20 labels among 20 samples \(10000, 10010, 10020 and 17 more\), which are ids\. Use --conditioning text/,
      ),
    });
  });
});

describe('what speaks against tokens', () => {
  it('are few captions, or few labels, for the conditioning on them', async () => {
    const found = await surveyOf(
      many(40, (i) => ({ captions: i < 14 ? ['a cat'] : [], label: i < 20 ? 0 : undefined })),
      { classes: CLASSES },
    );
    expect(tokenConcerns(found, 'text')).toEqual([
      '14 of 40 samples have captions; the others are trained unconditionally. Remedy: captions for more of them.',
    ]);
    expect(tokenConcerns(found, 'label')).toEqual([]);
    expect(tokenConcerns(found, 'none')).toEqual([]);
  });

  it('is a codebook of which few codes occur', async () => {
    const map = { name: 'codes', grid: [2, 2], levels: 1, vocabSize: 64 };
    const using = async (codes: number) =>
      tokenConcerns(
        await surveyOf(
          many(40, (i) => ({ ids: [4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3].map((id) => id % codes) })),
          { map },
        ),
        'none',
      );
    expect(await using(6)).toEqual([
      expect.stringMatching(
        /^collapsed codebook "codes": only 6 of 64 codes occur in the tokens, .*Remedy: train the codec again/,
      ),
    ]);
    expect(await using(7)).toEqual([]);
    // Sixteen codes can only use so many.
    expect(
      tokenConcerns(
        await surveyOf(
          many(4, (i) => ({ ids: [i % 2, 0, 1, 0] })),
          { map: { ...map, vocabSize: 4096 } },
        ),
        'none',
      ),
    ).toEqual([]);
  });
});
