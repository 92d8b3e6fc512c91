import { describe, expect, it } from 'vitest';
import { beginningOf } from '../../src/text/beginning.js';
import { trainBpe } from '../../src/text/bpe.js';
import { captionLengths, cutText, refuseTooLong } from '../../src/train/captions.js';

describe('the length of captions', () => {
  const lengthsOf = (...lengths: number[]) =>
    captionLengths(
      {
        captions: new Map(
          lengths.map((length, i) => [
            `${i}${'x'.repeat(length - String(i).length)}`,
            { training: 1, all: 1, key: `sample-${i}` },
          ]),
        ),
      },
      { encode: (caption: string) => Array.from(caption) },
    );
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

  it("is said with what is cut, or refused by the sample's name with an excerpt", () => {
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
    expect(refusal.message).toMatch(
      /sample "sample-19": expected at most 1,024 text tokens in a caption, received 6,120 \("19x+\.\.\."\)/,
    );
    expect(refusal.message.length).toBeLessThan(400);
  });

  it('is at least that of the beginning, for a caption longer than the tokenizer takes', () => {
    const text = trainBpe(['a red circle', 'a blue square'], { vocabSize: 300 });
    const captions = new Map([
      ['a red circle', { training: 1, all: 1, key: 'short' }],
      ['a red circle '.repeat(4_000_000), { training: 1, all: 1, key: 'endless' }],
    ]);
    const lengths = captionLengths({ captions }, text);
    expect(lengths.fitted(1024)).toBe(1024);
    expect(cutText(lengths, 1024)).toMatch(
      /^1 caption cut to 1,024 text tokens \(longest more than \d{3},\d{3}, sample endless\)$/,
    );
    expect(() => refuseTooLong(lengths, 1024)).toThrow(/^E_TEXT_TOO_LONG sample "endless": .* received more than /);
    const source = { encode: (): never => text.encode('x'.repeat(3_000_000)) as never };
    expect(() => captionLengths({ captions }, source)).toThrow(
      /^E_TEXT_TOO_LONG sample "short": encode: expected at most/,
    );
  });

  it('is measured without cutting a character in two', () => {
    expect(beginningOf('ab😀c', { longestText: 3 })).toBe('ab');
    expect(beginningOf('ab😀c', { longestText: 4 })).toBe('ab😀');
    expect(beginningOf('abc', { longestText: 3 })).toBe('abc');
    expect(beginningOf('abc', {})).toBe('abc');
  });
});
