import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/rng.js';
import { learnMerges } from '../../src/text/merges.js';
import type { Merge, MergeOptions } from '../../src/text/merges.js';

const letters = (word: string): Uint8Array => Uint8Array.from(word, (letter) => letter.charCodeAt(0) - 97);

function learn(words: Record<string, number>, mergeCount = 10, minFrequency = 1): string[] {
  const options = { alphabetSize: 26, mergeCount, minFrequency };
  const merges = learnMerges(Object.keys(words).map(letters), Object.values(words), options);
  const spell = (symbol: number): string => {
    if (symbol < 26) return String.fromCharCode(97 + symbol);
    const { left, right } = merges[symbol - 26]!;
    return spell(left) + spell(right);
  };
  return merges.map(({ left, right }) => `${spell(left)}+${spell(right)}`);
}

/** The definition, without any bookkeeping: count all pairs anew before each merge. */
function learnSlowly(words: readonly Uint8Array[], counts: readonly number[], options: MergeOptions): Merge[] {
  const texts = words.map((word) => Array.from(word));
  const merges: Merge[] = [];
  while (merges.length < options.mergeCount) {
    const table = new Map<string, { left: number; right: number; count: number }>();
    for (const [w, text] of texts.entries()) {
      for (let i = 0; i + 1 < text.length; i++) {
        const key = `${text[i]},${text[i + 1]}`;
        const entry = table.get(key) ?? { left: text[i]!, right: text[i + 1]!, count: 0 };
        entry.count += counts[w]!;
        table.set(key, entry);
      }
    }
    const best = [...table.values()].toSorted((a, b) => b.count - a.count || a.left - b.left || a.right - b.right)[0];
    if (best === undefined || best.count < options.minFrequency) break;
    const merged = options.alphabetSize + merges.length;
    merges.push({ left: best.left, right: best.right });
    for (const text of texts) {
      for (let i = 0; i + 1 < text.length; i++) {
        if (text[i] === best.left && text[i + 1] === best.right) text.splice(i, 2, merged);
      }
    }
  }
  return merges;
}

describe('learnMerges', () => {
  it('merges the most frequent pair first', () => {
    expect(learn({ hug: 10, pug: 5, pun: 12, bun: 4, hugs: 5 }, 3)).toEqual(['u+g', 'u+n', 'h+ug']);
  });

  it('breaks ties by the lowest left id, then the lowest right one', () => {
    expect(learn({ cd: 1, ab: 1, ac: 1 })).toEqual(['a+b', 'a+c', 'c+d']);
  });

  it('weighs words by their counts', () => {
    expect(learn({ ab: 1, yz: 2 })).toEqual(['y+z', 'a+b']);
  });

  it('merges overlapping pairs from the left', () => {
    expect(learn({ aaaaa: 1 })).toEqual(['a+a', 'aa+a', 'aa+aaa']);
  });

  it('leaves out pairs below the minimum frequency, and stops at the number wanted', () => {
    expect(learn({ ab: 3, cd: 2 }, 10, 3)).toEqual(['a+b']);
    expect(learn({ ab: 3, cd: 2 }, 0)).toEqual([]);
  });

  it('agrees with counting everything anew before each merge', () => {
    const words = fc.uniqueArray(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 14 }), { maxLength: 12 });
    fc.assert(
      fc.property(
        words,
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 12, maxLength: 12 }),
        (words, counts) => {
          const options = { alphabetSize: 26, mergeCount: 40, minFrequency: 1 };
          const merges = learnMerges(words.map(letters), counts, options);
          expect(merges).toEqual(learnSlowly(words.map(letters), counts, options));
        },
      ),
      { seed: 1, numRuns: 1500 },
    );
  });

  it('never spells the same token twice', () => {
    const words = fc.uniqueArray(fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 20 }), { maxLength: 12 });
    fc.assert(
      fc.property(words, (words) => {
        const merges = learn(Object.fromEntries(words.map((word) => [word, 1])), 60);
        const tokens = merges.map((merge) => merge.replace('+', ''));
        expect(new Set(tokens).size).toBe(tokens.length);
      }),
      { seed: 2, numRuns: 1500 },
    );
  });

  it('takes time in proportion to the text for one endless word', () => {
    const rng = new Rng(1, 'endless');
    const word = Uint8Array.from({ length: 300_000 }, () => rng.int(26));
    const start = performance.now();
    expect(learnMerges([word], [1], { alphabetSize: 26, mergeCount: 2000, minFrequency: 2 })).toHaveLength(2000);
    expect(performance.now() - start).toBeLessThan(8000); // recounting would take minutes
  });
});
