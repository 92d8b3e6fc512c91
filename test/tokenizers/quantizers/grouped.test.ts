import { describe, expect, it } from 'vitest';
import { randomKey, subKey, tf } from '../../../src/engine/index.js';
import { createParams, scoped } from '../../../src/model/params.js';
import { emaVq } from '../../../tokenizers/quantizers/ema-vq.js';
import { grouped, GroupedConfigSchema } from '../../../tokenizers/quantizers/grouped.js';
import { quantizerConformance } from '../../conformance/quantizer.js';
import { nearestIds } from './codebook-support.js';

const EMA = { name: 'ema-vq', codebookSize: 12, codeDim: 2 };

quantizerConformance(
  { name: 'grouped', groups: 3, quantizer: EMA },
  {
    bruteForce: (p, latents) =>
      latents.map((row) =>
        [0, 1, 2].map((g) => nearestIds(scoped(String(g), p), [row.slice(2 * g, 2 * g + 2)])[0]![0]!),
      ),
  },
);
quantizerConformance({
  name: 'grouped',
  groups: 2,
  quantizer: [EMA, { name: 'ema-vq', codebookSize: 12, codeDim: 3, width: 4, normalize: true }],
});
quantizerConformance({
  name: 'grouped',
  groups: 2,
  quantizer: { name: 'grouped', groups: 2, quantizer: { ...EMA, start: 'kmeans' } },
});

const CONFIG = GroupedConfigSchema.parse({ groups: 2, quantizer: EMA });
const latents = tf.randomNormal([32, 4], 0, 1, 'float32', 5) as tf.Tensor2D;
const moment = () => ({ key: randomKey(0, 1), progress: tf.scalar(0) });

describe('the grouped quantizer', () => {
  it('does to each group of channels what the inner quantizer does', () => {
    const p = createParams(grouped.state(CONFIG), 0);
    const twin = createParams(grouped.state(CONFIG), 0);
    const whole = grouped.train(p, latents, moment(), CONFIG);
    const inner = emaVq.parseConfig(EMA);
    const parts = [0, 1].map((g) =>
      emaVq.train(
        scoped(String(g), twin),
        tf.slice2d(latents, [0, 2 * g], [-1, 2]),
        { ...moment(), key: subKey(moment().key, String(g)) },
        inner,
      ),
    );
    expect(whole.codes.arraySync()).toEqual(
      tf
        .concat2d(
          parts.map(({ codes }) => codes),
          1,
        )
        .arraySync(),
    );
    expect(whole.ids.arraySync()).toEqual(
      tf
        .concat2d(
          parts.map(({ ids }) => ids),
          1,
        )
        .arraySync(),
    );
    expect(whole.loss.dataSync()[0]).toBeCloseTo(
      (parts[0]!.loss.dataSync()[0]! + parts[1]!.loss.dataSync()[0]!) / 2,
      6,
    );
    for (const name of Object.keys(p)) expect(p[name]!.arraySync()).toEqual(twin[name]!.arraySync());
  });

  it('adds up widths and depths', () => {
    const config = GroupedConfigSchema.parse({
      groups: 2,
      quantizer: [EMA, { name: 'grouped', groups: 2, quantizer: EMA }],
    });
    expect([grouped.width(config), grouped.levels!(config), grouped.vocabSize(config)]).toEqual([6, 3, 12]);
  });

  it('reads its own config again', () => {
    expect(grouped.parseConfig(JSON.parse(JSON.stringify(CONFIG)))).toEqual(CONFIG);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      'codebooks of different sizes',
      { groups: 2, quantizer: [EMA, { ...EMA, codebookSize: 16 }] },
      /E_CONFIG quantizer grouped: quantizer: expected one number of codes for all groups, received 12, 16/,
    ],
    [
      'a wrong number of quantizers',
      { groups: 3, quantizer: [EMA, EMA] },
      /quantizer: expected one config for all or one for each of the 3 groups, received 2/,
    ],
    ['a field the inner quantizer does not know', { quantizer: { ...EMA, codeDims: 3 } }, /quantizer\.0: .*codeDims/],
    ['an inner quantizer that does not exist', { quantizer: { name: 'none' } }, /quantizer "none": expected one of/],
  ])('refuses %s', (_, json, message) => expect(() => grouped.parseConfig(json)).toThrow(message));
});
