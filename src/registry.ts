// Names to model families. Third parties register theirs here and use them in every command by name.
import { gpt } from '../priors/gpt-model.js';
import { dVae } from '../tokenizers/dvae.js';
import { vae } from '../tokenizers/vae.js';
import { vqVae } from '../tokenizers/vqvae.js';
import { vqVae2 } from '../tokenizers/vqvae2.js';
import type { CodecFamily } from './model/codec.js';
import type { PriorFamily } from './model/prior.js';
import { expectContract, register, unknownName } from './registered.js';
import type { Contract } from './registered.js';

export { conditionFields, conditionOf, refuseBadCondition } from '../priors/condition.js';
export { Quantizer, QuantizerConfigSchema, quantizerNames, registerQuantizer } from '../tokenizers/quantizers/index.js';
export type { QuantizerConfig } from '../tokenizers/quantizers/index.js';

const codecs = new Map<string, CodecFamily>();
const priors = new Map<string, PriorFamily>();

const CODEC: Contract = {
  texts: ['name', 'medium'],
  functions: ['parseConfig', 'input', 'maps', 'trainable', 'state', 'initialize', 'loss', 'encode', 'decode'],
};
const PRIOR: Contract = { texts: ['name'], functions: ['parseConfig', 'mapFields', 'maps', 'condition', 'stages'] };

/** @throws {UsageError} E_REGISTERED_SHAPE naming a field that is missing, E_REGISTERED when the name is taken. */
export function registerCodec<C>(family: CodecFamily<C>): void {
  expectContract('codec', family, CODEC);
  register('codec', codecs, family);
}

/** @throws {UsageError} E_REGISTERED_SHAPE naming a field that is missing, E_REGISTERED when the name is taken. */
export function registerPrior<C>(family: PriorFamily<C>): void {
  expectContract('prior', family, PRIOR);
  register('prior', priors, family);
}

/** @throws {UsageError} E_UNKNOWN_MODEL listing the names there are. */
export function codecFamily(name: string): CodecFamily {
  return find(codecs, 'codec', name);
}

/** @throws {UsageError} E_UNKNOWN_MODEL listing the names there are. */
export function priorFamily(name: string): PriorFamily {
  return find(priors, 'prior', name);
}

function find<T>(families: Map<string, T>, kind: string, name: string): T {
  const family = families.get(name);
  if (!family) throw unknownName('E_UNKNOWN_MODEL', `${kind} "${name}"`, families.keys());
  return family;
}

registerCodec(vqVae);
registerCodec(vqVae2);
registerCodec(dVae);
registerCodec(vae);
registerPrior(gpt);
