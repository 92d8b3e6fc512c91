// Optimizes graphs: rewrites that make a traced graph cheaper to run and preserve its results up to rounding.
import type { Value } from './graph.js';
import type { Lower } from './lowering.js';
import { ALGEBRA } from './passes-algebra.js';
import { FUSION, SPLITTING } from './passes-fusion.js';
import { rewrite } from './passes-rewrite.js';

/** Optimizes the computation of `outputs`. Returns the values that replace them, in order. */
export function optimize(g: Lower, outputs: readonly Value[]): Value[] {
  let current = [...outputs];
  for (const rules of [ALGEBRA, ALGEBRA, FUSION, FUSION, SPLITTING]) current = rewrite(g, current, rules);
  return current;
}
