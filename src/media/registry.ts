// Media by name. Codecs name theirs; third parties register further ones.
import { UsageError } from '../errors.js';
import type { Media } from '../interfaces/media.js';
import { imageCore } from './image/core.js';
import type { AnyCore, MediumCore } from './medium.js';

const media = new Map<string, AnyCore>([[imageCore.name, imageCore]]);

/** @throws {UsageError} E_REGISTERED when the name is taken. */
export function registerMedium<M extends Media, I>(medium: MediumCore<M, I>): void {
  if (media.has(medium.name))
    throw new UsageError(
      'E_REGISTERED',
      `register medium: expected a new name, received "${medium.name}", which is taken.`,
    );
  media.set(medium.name, medium);
}

/** Replaces a medium that is registered by one that can do more. */
export function extendMedium(medium: AnyCore): void {
  media.set(medium.name, medium);
}

/** @throws {UsageError} E_UNKNOWN_MEDIUM listing the names there are. */
export function mediumNamed(name: string): AnyCore {
  const medium = media.get(name);
  if (medium) return medium;
  throw new UsageError(
    'E_UNKNOWN_MEDIUM',
    `medium "${name}": expected one of ${[...media.keys()].join(', ')}. Register others before use.`,
  );
}

/** All media, in the order in which they were registered. */
export const registeredMedia = (): readonly AnyCore[] => [...media.values()];
