// Media by name. Codecs name theirs; third parties register further ones.
import type { Media } from '../interfaces/media.js';
import { imageCore } from './image/core.js';
import { expectContract, register, unknownName, unlike } from '../registered.js';
import type { Contract } from '../registered.js';
import type { AnyCore, MediumCore } from './medium.js';

const media = new Map<string, AnyCore>([[imageCore.name, imageCore]]);

const CORE: Contract = {
  texts: ['name', 'noun.one', 'noun.many', 'tensor.name', 'tensor.meaning'],
  lists: ['axes'],
  functions: [
    'check',
    'info',
    'infoOf',
    'extentOf',
    'itemShape',
    'keepsExtent',
    'withExtent',
    'inputLike',
    'fit',
    'samplesOf',
    'create',
    'toFloats',
    'fromFloats',
  ],
};
const WITH_FILES: Contract = {
  texts: ['files.formats', 'rate.name', 'rate.label'],
  lists: ['figures'],
  functions: [
    'files.sniff',
    'files.decodedBytes',
    'files.decode',
    'files.encode',
    'describe',
    'meter',
    'rate.count',
    'show',
  ],
};

/** @throws {UsageError} E_REGISTERED_SHAPE naming a field that is missing, E_REGISTERED when the name is taken. */
export function registerMedium<M extends Media, I>(medium: MediumCore<M, I>): void {
  expectContract('medium', medium, CORE);
  if ('files' in medium) {
    expectContract('medium', medium, WITH_FILES);
    const { extension, extensions } = medium.files as Record<string, unknown>;
    if (!(extensions instanceof Set)) throw unlike('medium', medium, 'a Set files.extensions', extensions);
    // It becomes part of the names of files that are written.
    if (typeof extension !== 'string' || !/^[a-z0-9]+$/i.test(extension))
      throw unlike('medium', medium, 'letters and digits in files.extension', extension);
  }
  register('medium', media, medium);
}

/** Replaces a medium that is registered by one that can do more. */
export function extendMedium(medium: AnyCore): void {
  media.set(medium.name, medium);
}

/** @throws {UsageError} E_UNKNOWN_MEDIUM listing the names there are. */
export function mediumNamed(name: string): AnyCore {
  const medium = media.get(name);
  if (medium) return medium;
  throw unknownName('E_UNKNOWN_MEDIUM', `medium "${name}"`, media.keys());
}

/** All media, in the order in which they were registered. */
export const registeredMedia = (): readonly AnyCore[] => [...media.values()];
