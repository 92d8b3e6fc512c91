import { describe, expect, it } from 'vitest';
import { surveyText } from '../../src/train/survey.js';
import { many, surveyOf } from './tokens.js';

describe('the summary of tokens', () => {
  it('counts samples, captions, the classes that occur, and the codes in use', async () => {
    const found = await surveyOf(
      many(40, (i) => ({ captions: i < 30 ? [`caption ${i % 5}`] : [], label: i % 2, ids: [0, 1, i % 3, 0] })),
      { classes: ['cat', 'dog', 'unused'] },
    );
    expect(found).toMatchObject({
      samples: { train: 30, test: 10, all: 40 },
      captioned: 30,
      labeled: 40,
      classes: ['cat', 'dog'],
    });
    expect(found.captions.get('caption 0')).toEqual({ training: 5, all: 6, key: 'sample-0' });
    expect(surveyText(found)).toBe(
      `tokens ${found.directory}: 30 training and 10 held-out samples, 30 captioned (5 distinct captions), 40 labeled (2 classes); codes 2 x 2 of 6, 3 in use`,
    );
  });

  it('finds the classes that occur behind captions that differ within one', async () => {
    const found = await surveyOf(
      many(40, (i) => ({ captions: [i === 0 ? 'an odd one' : `a photo of ${i % 8}`], label: i % 8 })),
      { classes: Array.from({ length: 9 }, (_, i) => `class ${i}`) },
    );
    expect(found).toMatchObject({
      classes: Array.from({ length: 8 }, (_, i) => `class ${i}`),
      captionsRepeatClasses: false,
    });
  });

  it('says what is missing', async () => {
    const found = await surveyOf(many(8, () => ({})));
    expect(surveyText(found)).toContain('6 training and 2 held-out samples, no captions, no labels; codes');
  });
});
