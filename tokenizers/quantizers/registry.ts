// Quantizers by name. Those of the house are registered in index.ts, so that quantizers made of others can look theirs
// up here.
import { z } from 'zod';
import { TesseraeError, UsageError } from '../../src/errors.js';
import type { QuantizerFamily } from '../../src/model/quantizer.js';

const families = new Map<string, QuantizerFamily>();

/** @throws {UsageError} E_REGISTERED when the name is taken. */
export function registerQuantizer<C>(family: QuantizerFamily<C>): void {
  if (families.has(family.name))
    throw new UsageError(
      'E_REGISTERED',
      `register quantizer: expected a new name, received "${family.name}", which is taken.`,
    );
  families.set(family.name, family as QuantizerFamily);
}

/** @throws {UsageError} E_UNKNOWN_MODEL listing the names there are. */
export function quantizerFamily(name: string): QuantizerFamily {
  const family = families.get(name);
  if (!family)
    throw new UsageError(
      'E_UNKNOWN_MODEL',
      `quantizer "${name}": expected one of ${[...families.keys()].join(', ')}. Register others before use.`,
    );
  return family;
}

export const quantizerNames = (): string[] => [...families.keys()];

/** The part of a codec's config that names its quantizer and sets it up. */
export type QuantizerConfig = { name: string } & Record<string, unknown>;

/** Parses with the quantizer's own schema; the EMA quantizer where none is named. */
export const QuantizerConfigSchema = z
  .looseObject({ name: z.string().default('ema-vq') })
  .transform((json, context): QuantizerConfig => {
    try {
      return quantizerFamily(json.name).parseConfig(json) as QuantizerConfig;
    } catch (error) {
      if (!(error instanceof TesseraeError)) throw error;
      context.addIssue({ code: 'custom', message: error.detail });
      return z.NEVER;
    }
  })
  .prefault({});
