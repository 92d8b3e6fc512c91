import { describe, expect, it } from 'vitest';
import { ContextModel } from '../../../src/sdk/advice/contexts.js';
import { Rng } from '../../../src/rng.js';

const MAP = { name: 'codes', grid: [4, 4], levels: 1, vocabSize: 16 };

function samples(count: number, seed: number, next: (i: number, ids: number[], label: number, rng: Rng) => number) {
  const rng = new Rng(seed, 'test.codes');
  return Array.from({ length: count }, (_, n) => {
    const ids: number[] = [];
    for (let i = 0; i < 16; i++) ids.push(next(i, ids, n % 2, rng));
    return {
      label: n % 2,
      tokens: { codec: '', media: { kind: 'image' }, maps: [{ ...MAP, ids: Uint16Array.from(ids) }] },
    };
  });
}

function natsOf(next: Parameters<typeof samples>[2], { labels = false } = {}): number {
  const own = (count: number, seed: number) =>
    samples(count, seed, next).map(({ label, ...rest }) => (labels ? { label, ...rest } : rest));
  const model = new ContextModel(MAP);
  model.learn(own(400, 1));
  return model.nats(own(100, 2));
}

describe('a model of counts', () => {
  it('needs the entropy of codes that nothing predicts', () => {
    const nats = natsOf((_i, _ids, _label, rng) => rng.int(16));
    expect(nats).toBeGreaterThan(Math.log(16));
    // Little is lost to counts that are chance.
    expect(nats).toBeLessThan(1.15 * Math.log(16));
  });

  it.each<[string, Parameters<typeof samples>[2]]>([
    ['place', (i) => i],
    ['the left code', (i, ids, _label, rng) => (i % 4 === 0 ? rng.int(2) : ids[i - 1]! ^ 1)],
    ['the code above', (i, ids, _label, rng) => (i < 4 ? rng.int(2) : ids[i - 4]! ^ 1)],
  ])('knows codes that follow from their %s', (_, next) => expect(natsOf(next)).toBeLessThan(0.35));

  it('knows codes that follow from the class, if it is told', () => {
    const byClass = (_i: number, _ids: number[], label: number, rng: Rng): number => 8 * label + rng.int(8);
    expect(natsOf(byClass, { labels: true })).toBeLessThan(natsOf(byClass) + 1e-9);
  });

  it('does not expect a code above where there is no second axis', () => {
    const model = new ContextModel({ ...MAP, grid: [16] });
    const own = samples(50, 1, (i) => i);
    model.learn(own);
    expect(model.nats(own)).toBeLessThan(0.35);
  });
});
