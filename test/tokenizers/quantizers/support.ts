// Float64 arithmetic for brute force in the quantizers' tests.
import type { Params } from '../../../src/model/params.js';

/** rows [N, in] times weight [in, out] plus bias [out]. */
export function affine(rows: number[][], weight: number[][], bias: number[]): number[][] {
  return rows.map((row) => bias.map((start, j) => row.reduce((sum, value, i) => sum + value * weight[i]![j]!, start)));
}

/** What the quantizer's inward projection makes of latents; the latents where it has none. */
export function project(p: Params, latents: number[][]): number[][] {
  if (!p['inward.weight']) return latents;
  return affine(latents, p['inward.weight'].arraySync() as number[][], p['inward.bias']!.arraySync() as number[]);
}
