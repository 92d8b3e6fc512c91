import { describe, expect, it } from 'vitest';
import { captionLengths, cutText, refuseTooLong } from '../../src/train/captions.js';

describe('the length of captions', () => {
  const lengthsOf = (...lengths: number[]) =>
    captionLengths({ captions: new Map(lengths.map((length, i) => [`${i}${'x'.repeat(length - String(i).length)}`, { training: 1, all: 1, key: `sample-${i}` }])) }, { encode: (caption: string) => Array.from(caption) });
  const twenty = Array.from({ length: 19 }, (_, i) => 5 + (i % 3));

  it('is that of the longest', () => {
    expect(lengthsOf(...twenty, 14).fitted(1024)).toBe(14);
    expect(lengthsOf(3).fitted(1024)).toBe(3);
  });

  it('leaves out one that is far longer than all others, and at most half a percent', () => {
    expect(lengthsOf(...twenty, 6120).fitted(1024)).toBe(7);
    expect(lengthsOf(...twenty, 6120, 6120).fitted(1024)).toBe(1024);
    const thousand = Array.from({ length: 995 }, () => 20);
    expect(lengthsOf(...thousand, 300, 300, 300, 300, 300).fitted(1024)).toBe(20);
    expect(lengthsOf(...thousand, 300, 300, 300, 300, 300, 300).fitted(1024)).toBe(300);
    // Too few to tell what is usual.
    expect(lengthsOf(5, 5, 5, 300).fitted(1024)).toBe(300);
  });

  it('is said with what is cut, or refused by the sample\'s name with an excerpt', () => {
    const lengths = lengthsOf(...twenty, 6120);
    expect(cutText(lengths, 7)).toBe('1 caption cut to 7 text tokens (longest 6,120, sample sample-19)');
    expect(() => refuseTooLong(lengths, 6120)).not.toThrow();
    const refusal = (() => {
      try {
        refuseTooLong(lengths, 1024);
      } catch (error) {
        return error as Error;
      }
      throw new Error('expected a refusal');
    })();
    expect(refusal).toMatchObject({ code: 'E_TEXT_TOO_LONG', exitCode: 2 });
    expect(refusal.message).toMatch(/sample "sample-19": expected at most 1,024 text tokens in a caption, received 6,120 \("19x+\.\.\."\)/);
    expect(refusal.message.length).toBeLessThan(400);
  });
});
