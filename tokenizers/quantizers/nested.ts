// Quantizers within a quantizer: how grouped and residual ones hold theirs.
import { z } from 'zod';
import { subKey, tf } from '../../src/engine/index.js';
import type { ParamSpecs } from '../../src/model/params.js';
import { Quantizer, QuantizerConfigSchema } from './quantizer.js';
import type { QuantizerConfig } from './quantizer.js';

/** Configs of the nested quantizers: one that all share, or one for each. The parsed value is always a list. */
export const NestedConfigsSchema = z
  .preprocess((json) => (Array.isArray(json) ? json : [json]), z.array(QuantizerConfigSchema).min(1).max(64))
  .prefault({});

/** `count` quantizers from one config or as many, named '0', '1', ..., each with its own random streams. */
export const nestedQuantizers = (configs: readonly QuantizerConfig[], count: number): Quantizer[] =>
  Array.from(
    { length: count },
    (_, i) => new Quantizer(configs[i] ?? configs[0]!, String(i), (key) => subKey(key, String(i))),
  );

/** The specs of all, in one record. */
export const allSpecs = (specs: readonly ParamSpecs[]): ParamSpecs => Object.assign({}, ...specs) as ParamSpecs;

/** Ids at one position: those of all nested quantizers side by side. */
export const totalLevels = (nested: readonly Quantizer[]): number =>
  nested.reduce((sum, { levels }) => sum + levels, 0);

/**
 * Returns what is wrong with a choice of nested quantizers, if anything.
 *
 * @param count how many there should be.
 * @param what  what each of them is called in the message.
 */
export function problemWithNested(
  configs: readonly QuantizerConfig[],
  count: number,
  what: string,
): string | undefined {
  if (configs.length !== 1 && configs.length !== count)
    return `expected one config for all or one for each of the ${count} ${what}s, received ${configs.length}`;
  const sizes = new Set(nestedQuantizers(configs, count).map(({ vocabSize }) => vocabSize));
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
