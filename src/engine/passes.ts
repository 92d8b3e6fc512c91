// Graph to graph: rewrites that make a traced graph cheaper to run and leave its results as they are (up to rounding).
import type { Value } from './graph.js';
import type { Lower } from './lowering.js';
import { ALGEBRA } from './passes-algebra.js';
import { FUSION, SPLITTING } from './passes-fusion.js';
import { rewrite } from './passes-rewrite.js';

/** Rewrites what `outputs` compute. The values returned take their places, in order. */
export function optimize(g: Lower, outputs: readonly Value[]): Value[] {
  let current = [...outputs];
  for (const rules of [ALGEBRA, ALGEBRA, FUSION, FUSION, SPLITTING]) current = rewrite(g, current, rules);
  return current;
}
