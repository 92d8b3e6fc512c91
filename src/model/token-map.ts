// Token maps in the configs of priors.
import { z } from 'zod';
import { UsageError } from '../errors.js';
import { withAxes } from '../interfaces/index.js';
import type { TokenMapSpec } from '../interfaces/index.js';

/** A map that a prior models, in its config. Old configs have a shape instead of grid and levels. */
export const TokenMapSchema = z.preprocess(
  withAxes,
  z.strictObject({
    name: z.string().default('codes'),
    grid: z.array(z.int().min(1)).min(1).max(3),
    levels: z.int().min(1).default(1),
    vocabSize: z.int().min(2),
  }),
);

/**
 * The only map of tokens, for priors that model one.
 *
 * @param prior name of the prior, for the error.
 * @throws {UsageError} E_PRIOR_MAPS for several maps, or none.
 */
export function oneMap(prior: string, maps: readonly TokenMapSpec[]): TokenMapSpec {
  const [map, ...others] = maps;
  if (!map || others.length > 0)
    throw new UsageError('E_PRIOR_MAPS', `${prior}: expected tokens with one map, received ${maps.length}.`);
  return map;
}
