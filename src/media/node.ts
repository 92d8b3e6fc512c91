// Media with their files, in Node.js.
import { UsageError } from '../errors.js';
import type { Media } from '../interfaces/media.js';
import { imageMedium } from './image/medium.js';
import type { AnyCore, AnyMedium } from './medium.js';
import { extendMedium, mediumNamed, registeredMedia } from './registry.js';

extendMedium(imageMedium);

/** @throws {UsageError} E_UNKNOWN_MEDIUM, also for a medium that was registered without its files. */
export function fullMedium(name: string): AnyMedium {
  const medium = mediumNamed(name);
  if (hasFiles(medium)) return medium;
  throw new UsageError(
    'E_UNKNOWN_MEDIUM',
    `medium "${name}": expected one with files, measures and drawings, found only what codecs need. Register the whole medium.`,
  );
}

/** The media whose files can be read, in the order in which they were registered. */
export const mediaWithFiles = (): AnyMedium[] => registeredMedia().filter(hasFiles);

/**
 * The medium of samples in memory, each of which is checked.
 *
 * @param where names the caller, for errors.
 * @throws {UsageError} E_MEDIA without samples, E_UNKNOWN_MEDIUM. @throws {ShapeError} for samples that are not of the medium of
 *   the first.
 */
export function mediumOfSamples(where: string, samples: readonly Media[]): AnyMedium {
  const first: Partial<Media> | null | undefined = Array.isArray(samples) ? samples[0] : undefined;
  if (!Array.isArray(samples) || samples.length === 0)
    throw new UsageError('E_MEDIA', `${where}: expected at least one sample, received none.`);
  if (typeof first?.kind !== 'string')
    throw new UsageError(
      'E_MEDIA',
      `${where}[0]: expected a sample, an object with a "kind", received ${first === null ? 'null' : typeof first}.`,
    );
  const medium = fullMedium(first.kind);
  samples.forEach((sample, i) => medium.check(`${where}[${i}]`, sample));
  return medium;
}

function hasFiles(medium: AnyCore): medium is AnyMedium {
  return 'files' in medium;
}
