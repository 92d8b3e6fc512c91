// Writes samples to files: several to one file where the medium can join them, or each to its own in a folder.
import { join } from 'node:path';
import { UsageError } from '../errors.js';
import { nodeFiles } from '../files/system.js';
import { createDirectory, writeFileAtomic } from '../files/commit.js';
import type { Media } from '../interfaces/index.js';
import type { ShowOptions } from '../media/medium.js';
import { fullMedium, mediumOfSamples } from '../media/node.js';
import type { Generated } from './generate.js';
import type { Neighbor } from './neighbors.js';
import { createParent, isFileOf, refuseOneFile, refuseOtherFiles } from './output-names.js';
import { writeSamplesCard } from './samples-card.js';

export interface WriteMediaOptions extends ShowOptions {
  /** Overwrites existing files. */
  force?: boolean;
  /** Names of the files in a folder, without the extension. Default: numbers from 00000 on. */
  names?: readonly string[];
}

/**
 * Writes samples of one medium. A name with the extension of the medium's files (`.png` for images) is a single file, in which
 * several samples are joined: images form a grid. Any other name is a folder, in which each sample becomes a file.
 *
 * @returns the paths written.
 * @throws {UsageError} E_OUTPUT_EXISTS unless `force`; E_OUTPUT_NAME for the name of a file of another kind, or of one file for
 *   several samples that cannot be joined.
 */
export async function writeMedia(
  out: string,
  samples: readonly Media[],
  { force, names, ...layout }: WriteMediaOptions = {},
): Promise<string[]> {
  const medium = mediumOfSamples('writeMedia', samples);
  refuseOtherFiles(out, medium);
  if (isFileOf(medium, out)) {
    refuseExisting(out, force);
    refuseOneFile(out, medium, samples.length);
    const sample: Media = medium.files.join ? medium.files.join(samples, layout) : samples[0];
    createParent(out);
    writeFileAtomic(out, await medium.files.encode(sample));
    return [out];
  }
  createDirectory(out);
  const paths = samples.map((_, i) => join(out, `${names?.[i] ?? numbered(i)}.${medium.files.extension}`));
  for (const path of paths) refuseExisting(path, force);
  for (const [i, path] of paths.entries()) writeFileAtomic(path, await medium.files.encode(samples[i]));
  return paths;
}

export interface WriteGeneratedOptions extends Pick<WriteMediaOptions, 'force' | 'scale' | 'columns'> {
  /** The nearest sample of a dataset to each generated one. It is written next to that. */
  neighbors?: readonly Neighbor[];
}

/**
 * Writes the samples of `generate` with their prompts: to one file, or to a folder with a card that says how they were made.
 *
 * @returns the paths written, without the card.
 * @throws as {@link writeMedia}.
 */
export async function writeGenerated(
  out: string,
  { media, prompts, made }: Generated,
  { neighbors, ...options }: WriteGeneratedOptions = {},
): Promise<string[]> {
  const labels = made.prompts?.length ? prompts : undefined;
  const files = neighbors
    ? await writeMedia(
        out,
        neighbors.flatMap((near, i) => [media[i]!, near.media]),
        {
          columns: 2 * Math.ceil(Math.sqrt(media.length / 2)),
          ...options,
          labels: neighbors.flatMap(({ key, caption }, i) => [prompts[i]!, `near: ${caption || key}`]),
          names: neighbors.flatMap((_, i) => [numbered(i), `${numbered(i)}-nearest`]),
        },
      )
    : await writeMedia(out, media, { ...options, labels });
  if (!isFileOf(fullMedium(made.medium), out)) writeSamplesCard(out, made);
  return files;
}

/** Name of the `i`-th file of many, from 0. */
const numbered = (i: number): string => String(i).padStart(5, '0');

function refuseExisting(path: string, force = false): void {
  if (!force && nodeFiles.status(path))
    throw new UsageError(
      'E_OUTPUT_EXISTS',
      `--out ${path}: expected a new file, found one. Pass --force to write over it.`,
    );
}
