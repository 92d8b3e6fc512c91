import { describe, expect, it } from 'vitest';
import { CodebookMeter, codebooksOf, empiricalBits, entropyOf, nominalBits } from '../../src/metrics/codebook.js';

const codes = { name: 'codes', grid: [2, 2], levels: 1, vocabSize: 8 };

describe('CodebookMeter', () => {
  it('counts the codes in use and their entropy', () => {
    const meter = new CodebookMeter(codes);
    meter.add(Uint16Array.of(0, 0, 1, 7));
    meter.add(Uint16Array.of(1, 0, 0, 7));
    const entropy = 0.5 * Math.log(2) + 2 * 0.25 * Math.log(4);
    expect(meter.result()).toEqual({
      ...codes,
      codes: 8,
      used: 3,
      usage: 3 / 8,
      entropy: expect.closeTo(entropy, 12) as number,
      entropyRatio: expect.closeTo(entropy / Math.log(8), 12) as number,
      perplexity: expect.closeTo(Math.exp(entropy), 12) as number,
    });
    expect(Array.from(meter.counts)).toEqual([4, 2, 0, 0, 0, 0, 0, 2]);
  });

  it('has the whole codebook as perplexity when all codes are equally frequent', () => {
    const meter = new CodebookMeter(codes);
    meter.add([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(meter.result()).toMatchObject({
      used: 8,
      usage: 1,
      entropyRatio: expect.closeTo(1, 12) as number,
      perplexity: expect.closeTo(8, 10) as number,
    });
  });

  it('has perplexity 1 for a collapsed codebook, and for a codebook of one', () => {
    const collapsed = new CodebookMeter(codes);
    collapsed.add([3, 3, 3]);
    expect(collapsed.result()).toMatchObject({ used: 1, entropy: 0, entropyRatio: 0, perplexity: 1 });
    const single = new CodebookMeter({ ...codes, vocabSize: 1 });
    single.add([0, 0]);
    expect(single.result()).toMatchObject({ usage: 1, entropy: 0, entropyRatio: 1, perplexity: 1 });
  });

  it('refuses an id outside the codebook and counts nothing of its batch', () => {
    const meter = new CodebookMeter(codes);
    for (const id of [8, -1, 1.5])
      expect(() => meter.add([0, id])).toThrow(/E_METRIC_ID CodebookMeter\.add\(codes\): .* at index 1/);
    expect(meter.counts[0]).toBe(0);
    expect(() => meter.result()).toThrow(/E_METRIC_EMPTY/);
  });
});

describe('CodebookMeter of a map with several levels', () => {
  const map = { name: 'codes', grid: [1, 2], levels: 2, vocabSize: 4 };

  it('describes each level by itself: one codebook may be spread while the other has collapsed', () => {
    const meter = new CodebookMeter(map);
    meter.add([0, 3, 1, 3]);
    meter.add([2, 3, 3, 3]);
    const spread = {
      used: 4,
      usage: 1,
      entropy: expect.closeTo(Math.log(4), 12) as number,
      entropyRatio: expect.closeTo(1, 12) as number,
      perplexity: expect.closeTo(4, 10) as number,
    };
    const collapsed = { used: 1, usage: 0.25, entropy: 0, entropyRatio: 0, perplexity: 1 };
    expect(meter.result()).toEqual({
      ...map,
      codes: 8,
      used: 5,
      usage: 5 / 8,
      entropy: expect.closeTo(Math.log(4) / 2, 12) as number,
      entropyRatio: expect.closeTo(0.5, 12) as number,
      perplexity: expect.closeTo(2, 10) as number,
      byLevel: [spread, collapsed],
    });
    expect(codebooksOf(meter.counts, 4).map((counts) => [...counts])).toEqual([
      [1, 1, 1, 1],
      [0, 0, 0, 4],
    ]);
  });

  it('counts bits by the frequencies at each level, as a coder that knows the level would', () => {
    const meter = new CodebookMeter(map);
    meter.add([0, 3, 1, 3, 2, 3, 3, 3]);
    // A sample has 2 positions, each of log2(4) bits at the first level and 0 bits at the second.
    expect(empiricalBits([meter.result()])).toBeCloseTo(4, 12);
    expect(nominalBits([map])).toBe(8);
  });

  it('refuses a part of a position', () => {
    expect(() => new CodebookMeter(map).add([0, 1, 2])).toThrow(
      /E_METRIC_SIZE CodebookMeter\.add\(codes\): expected 2 ids for each position, received 3/,
    );
  });
});

describe('entropyOf', () => {
  it('is that of the relative frequencies', () => {
    expect(entropyOf([1, 1])).toBeCloseTo(Math.LN2, 12);
    expect(entropyOf([500, 500, 0])).toBeCloseTo(Math.LN2, 12);
    expect(entropyOf([])).toBe(0);
  });
});

describe('bits of a sample', () => {
  const maps = [
    { name: 'top', grid: [2, 2], levels: 1, vocabSize: 16, entropy: 3 * Math.LN2 },
    { name: 'bottom', grid: [4, 4], levels: 1, vocabSize: 4, entropy: Math.LN2 },
  ];

  it('counts every code at full length', () => {
    expect(nominalBits(maps)).toBe(4 * 4 + 16 * 2);
  });

  it('counts every code at its entropy', () => {
    expect(empiricalBits(maps)).toBeCloseTo(4 * 3 + 16 * 1, 12);
  });
});
