// What an open model was opened from, so that jobs take loaded models where they take directories.
import type { StoredModel } from '../checkpoint/card.js';
import { shortFingerprint } from '../fingerprint.js';

interface Origin {
  stored: StoredModel;
  /** Absent for models from bytes. */
  directory?: string;
}

const origins = new WeakMap<object, Origin>();

/** Remembers what a model was opened from, for as long as it is in use. @returns the model. */
export function opened<M extends object>(model: M, stored: StoredModel, directory?: string): M {
  origins.set(model, directory === undefined ? { stored } : { stored, directory });
  return model;
}

/** The card and the weights of an open model of a kind. Undefined for every other value. */
export function storedOf(model: unknown, kind: 'codec' | 'prior'): StoredModel | undefined {
  const origin = origins.get(model as object);
  return origin?.stored.card.kind === kind ? origin.stored : undefined;
}

/** The directory of an open model, or its name and fingerprint: for messages and reports. */
export function placeOf(model: object): string {
  const { stored, directory } = origins.get(model)!;
  return directory ?? `${stored.card.name} ${shortFingerprint(stored.card.fingerprint)}`;
}
