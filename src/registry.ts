// Names to model families. Third parties register theirs here and use them in every command by name.
import { gpt } from '../priors/gpt-model.js';
import { dVae } from '../tokenizers/dvae.js';
import { vae } from '../tokenizers/vae.js';
import { vqVae } from '../tokenizers/vqvae.js';
import { vqVae2 } from '../tokenizers/vqvae2.js';
import { UsageError } from './errors.js';
import type { CodecFamily } from './model/codec.js';
import type { PriorFamily } from './model/prior.js';

export { conditionFields, conditionOf, refuseBadCondition } from '../priors/condition.js';
export { Quantizer, QuantizerConfigSchema, quantizerNames, registerQuantizer } from '../tokenizers/quantizers/index.js';
export type { QuantizerConfig } from '../tokenizers/quantizers/index.js';

const codecs = new Map<string, CodecFamily>();
const priors = new Map<string, PriorFamily>();

/** @throws {UsageError} E_REGISTERED when the name is taken. */
export function registerCodec<C>(family: CodecFamily<C>): void {
  add(codecs, 'codec', family);
}

/** @throws {UsageError} E_REGISTERED when the name is taken. */
export function registerPrior<C>(family: PriorFamily<C>): void {
  add(priors, 'prior', family);
}

/** @throws {UsageError} E_UNKNOWN_MODEL listing the names there are. */
export function codecFamily(name: string): CodecFamily {
  return find(codecs, 'codec', name);
}

/** @throws {UsageError} E_UNKNOWN_MODEL listing the names there are. */
export function priorFamily(name: string): PriorFamily {
  return find(priors, 'prior', name);
}

function add<T extends { name: string }>(families: Map<string, T>, kind: string, family: T): void {
  if (families.has(family.name))
    throw new UsageError(
      'E_REGISTERED',
      `register ${kind}: expected a new name, received "${family.name}", which is taken.`,
    );
  families.set(family.name, family);
}

function find<T>(families: Map<string, T>, kind: string, name: string): T {
  const family = families.get(name);
  if (!family)
    throw new UsageError(
      'E_UNKNOWN_MODEL',
      `${kind} "${name}": expected one of ${[...families.keys()].join(', ')}. Register others before use.`,
    );
  return family;
}

registerCodec(vqVae);
registerCodec(vqVae2);
registerCodec(dVae);
registerCodec(vae);
registerPrior(gpt);
