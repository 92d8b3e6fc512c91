// Quantizers within a quantizer: how grouped and residual ones hold theirs.
import { z } from 'zod';
import { subKey, tf } from '../../src/engine/index.js';
import type { ParamSpecs } from '../../src/model/params.js';
import { QuantizerConfigSchema } from './registry.js';
import type { QuantizerConfig } from './registry.js';
import { ScopedQuantizer } from './scoped.js';

/** Configs of the inner quantizers: one that all share, or one each. Parsed, always a list. */
export const InnerConfigsSchema = z
  .preprocess((json) => (Array.isArray(json) ? json : [json]), z.array(QuantizerConfigSchema).min(1).max(64))
  .prefault({});

/** `count` inner quantizers from one config or as many, named '0', '1', ..., each with random streams of its own. */
export const innerQuantizers = (configs: readonly QuantizerConfig[], count: number): ScopedQuantizer[] =>
  Array.from(
    { length: count },
    (_, i) => new ScopedQuantizer(configs[i] ?? configs[0]!, String(i), (key) => subKey(key, String(i))),
  );

/** Specs of all, in one record. */
export const allSpecs = (specs: readonly ParamSpecs[]): ParamSpecs => Object.assign({}, ...specs) as ParamSpecs;

/** Ids of one position, those of all inner quantizers side by side. */
export const totalDepth = (inner: readonly ScopedQuantizer[]): number =>
  inner.reduce((sum, { depth }) => sum + depth, 0);

/**
 * What is wrong with a choice of inner quantizers, if anything.
 *
 * @param count how many there should be, each a `what`.
 */
export function problemWithInner(configs: readonly QuantizerConfig[], count: number, what: string): string | undefined {
  if (configs.length !== 1 && configs.length !== count)
    return `expected one config for all or one for each of the ${count} ${what}s, received ${configs.length}`;
  const sizes = new Set(innerQuantizers(configs, count).map(({ vocabSize }) => vocabSize));
  return sizes.size > 1
    ? `expected one number of codes for all ${what}s, received ${[...sizes].join(', ')}`
    : undefined;
}

/** Splits a matrix [N, sum of widths] by columns. */
export function columns(matrix: tf.Tensor2D, widths: readonly number[]): tf.Tensor2D[] {
  let end = 0;
  return widths.map((width) => {
    end += width;
    return tf.slice2d(matrix, [0, end - width], [-1, width]);
  });
}
