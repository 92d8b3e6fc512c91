// Brute force over codebooks, in float64.
import { tf } from '../../../src/engine/index.js';
import type { Params } from '../../../src/model/params.js';
import { codesOf, inSpace } from '../../../tokenizers/quantizers/codebook.js';
import type { CodebookConfig } from '../../../tokenizers/quantizers/codebook.js';
import { fromColumn } from '../../../tokenizers/quantizers/nearest.js';
import { nearestRow } from '../../conformance/quantizer.js';
import { project } from './support.js';

const unit = (row: number[]): number[] => row.map((value) => value / Math.hypot(...row));

/** Ids of latents [N, width]: of the nearest codes, after the projection if there is one, at length 1 if asked for. */
export function nearestIds(p: Params, latents: number[][], normalize = false): number[][] {
  const settle = normalize ? unit : (row: number[]) => row;
  const codes = (p.codebook!.arraySync() as number[][]).map(settle);
  return project(p, latents).map((row) => [nearestRow(codes, settle(row))]);
}

/** The commitment loss to the codes of `at`, the only part of the loss that the latents' gradient sees. */
export const commitmentLoss =
  (config: CodebookConfig, encode: (p: Params, latents: tf.Tensor2D) => tf.Tensor2D) =>
  (p: Params, at: tf.Tensor2D) => {
    const codes = tf.gather(codesOf(p, config), fromColumn(encode(p, at)));
    return (x: tf.Tensor2D): tf.Scalar =>
      tf.mul(config.commitment, tf.mean(tf.squaredDifference(inSpace(p, x, config), codes)));
  };
