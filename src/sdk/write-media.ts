// Writes samples to files: several to one file where the medium can join them, or each to its own in a folder.
import { join } from 'node:path';
import { UsageError } from '../errors.js';
import { nodeFiles } from '../files/system.js';
import { createDirectory, writeFileAtomic } from '../files/commit.js';
import type { Media } from '../interfaces/index.js';
import type { AnyMedium, SampleGroup, ShowOptions } from '../media/medium.js';
import { fullMedium, mediumOfSamples } from '../media/node.js';
import type { Generated } from './generate.js';
import type { Neighbor } from './neighbors.js';
import { createParent, extensionOf, isFileOf, refuseOneFile, refuseOtherFiles } from './output-names.js';
import { writeSamplesCard } from './samples-card.js';

export interface WriteMediaOptions extends ShowOptions {
  /** Overwrites existing files. */
  force?: boolean;
  /** Names of the files in a folder, without the extension. Default: numbers from 00000 on. */
  names?: readonly string[];
}

/**
 * Writes samples of one medium. A name with an extension that the medium writes (`.png`, `.jpg` or `.webp` for images) is a single file, in
 * which several samples are joined: images form a grid. Any other name is a folder, in which each sample becomes a file.
 * `scale` enlarges images by a whole factor; a single image and those of a folder keep their size without it.
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
    return [await writeFile(out, await fileOf(medium, samples, { ...exact(samples), ...layout }, extensionOf(out)))];
  }
  return writeFolder(out, medium, samples, { force, names, scale: layout.scale });
}

/** A sample on its own is written as it is, unless it is to be enlarged. */
const exact = (samples: readonly Media[]): ShowOptions => (samples.length === 1 ? { scale: 1 } : {});

/** The bytes of one file with samples. */
async function fileOf(
  { files }: AnyMedium,
  samples: readonly Media[],
  layout: ShowOptions,
  extension: string,
): Promise<Uint8Array> {
  return files.encode(files.join ? files.join(samples, layout) : samples[0], extension);
}

async function writeFile(out: string, bytes: Uint8Array): Promise<string> {
  createParent(out);
  writeFileAtomic(out, bytes);
  return out;
}

async function writeFolder(
  out: string,
  medium: AnyMedium,
  samples: readonly Media[],
  { force, names, scale }: Pick<WriteMediaOptions, 'force' | 'names' | 'scale'>,
): Promise<string[]> {
  const { extension } = medium.files;
  createDirectory(out);
  const paths = samples.map((_, i) => join(out, `${names?.[i] ?? numbered(i)}.${extension}`));
  for (const path of paths) refuseExisting(path, force);
  for (const [i, path] of paths.entries())
    writeFileAtomic(path, await fileOf(medium, [samples[i]!], { scale: scale ?? 1 }, extension));
  return paths;
}

export interface WriteGeneratedOptions extends Pick<WriteMediaOptions, 'force' | 'scale' | 'columns'> {
  /** The nearest sample of a dataset to each generated one. It is written next to that. */
  neighbors?: readonly Neighbor[];
  /** Whether prompts and neighbors are named in a file of several samples. Default true. */
  labels?: boolean;
}

/**
 * Writes the samples of `generate`: to one file, in which those of a prompt form a row below it, or to a folder with a card
 * that says how they were made. In one file small images are enlarged by a whole factor; `scale: 1` keeps their size.
 *
 * @returns the paths written, without the card.
 * @throws as {@link writeMedia}.
 */
export async function writeGenerated(
  out: string,
  generated: Generated,
  options: WriteGeneratedOptions = {},
): Promise<string[]> {
  const { made, media } = generated;
  const { force, scale, neighbors } = options;
  const medium = fullMedium(made.medium);
  refuseOtherFiles(out, medium);
  if (isFileOf(medium, out)) {
    refuseExisting(out, force);
    refuseOneFile(out, medium, neighbors ? 2 * media.length : media.length);
    return [await writeFile(out, await encodeGenerated(generated, { ...options, extension: extensionOf(out) }))];
  }
  const names = neighbors?.flatMap((_, i) => [numbered(i), `${numbered(i)}-nearest`]);
  const paths = await writeFolder(out, medium, withNeighbors(media, neighbors), { force, names, scale });
  writeSamplesCard(out, made);
  return paths;
}

export interface EncodeGeneratedOptions extends Omit<WriteGeneratedOptions, 'force'> {
  /** Format of the file by its extension, such as `jpg`. Default: that of the medium, `png` for images. */
  extension?: string;
}

/** The bytes of the one file that {@link writeGenerated} writes. */
export async function encodeGenerated(
  { media, prompts, made }: Generated,
  { neighbors, labels = true, scale, columns, extension }: EncodeGeneratedOptions = {},
): Promise<Uint8Array> {
  const medium = fullMedium(made.medium);
  const { columns: usual, ...named } = layoutOf(media, prompts, made.prompts ?? [], neighbors);
  const layout = { ...(labels && named), scale, columns: columns ?? usual };
  return fileOf(medium, withNeighbors(media, neighbors), layout, extension ?? medium.files.extension);
}

/** Each sample with its nearest after it. */
const withNeighbors = (media: readonly Media[], neighbors: readonly Neighbor[] | undefined): readonly Media[] =>
  neighbors ? neighbors.flatMap((near, i) => [media[i]!, near.media]) : media;

/** A row for each prompt; where each has one sample only, the prompt below it. */
function layoutOf(
  media: readonly Media[],
  prompts: readonly string[],
  asked: readonly string[],
  neighbors: readonly Neighbor[] | undefined,
): Pick<ShowOptions, 'columns' | 'labels' | 'groups'> {
  const perPrompt = media.length / Math.max(1, asked.length);
  const groupsOf = (count: number): SampleGroup[] | undefined =>
    asked.length > 0 ? asked.map((label) => ({ label, count })) : undefined;
  if (neighbors)
    return {
      columns: 2 * Math.min(perPrompt, Math.max(2, Math.ceil(Math.sqrt(perPrompt / 2)))),
      labels: neighbors.flatMap(({ key, caption }) => ['generated', `nearest: ${caption || key}`]),
      groups: groupsOf(2 * perPrompt),
    };
  if (perPrompt > 1) return { groups: groupsOf(perPrompt) };
  return asked.length > 1 ? { labels: prompts } : {};
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
