// Prompts to pictures.
import { join } from 'node:path';
import { UsageError } from '../errors.js';
import { nodeFiles } from '../files/system.js';
import { createDirectory, writeFileAtomic } from '../files/commit.js';
import type { Image, Prompt, SamplingOptions, Tokens } from '../interfaces/index.js';
import { checkImages } from '../media/image/check.js';
import { imageGrid } from '../media/image/grid.js';
import { encodePng } from '../media/image/image.js';
import { loadCodec, loadPrior } from './models.js';
import { createParent, isPng, refuseOtherPictures } from './output-names.js';

export interface GenerateOptions {
  /** Model directory of the prior. */
  prior: string;
  /** Model directory of the codec. Default: the one the prior carries. */
  codec?: string;
  prompts: readonly Prompt[];
  sampling?: SamplingOptions;
}

export interface Generated {
  images: Image[];
  tokens: Tokens[];
  /** The prompt of each picture; empty without one. */
  prompts: string[];
}

/**
 * Draws `sampling.n` pictures for each prompt.
 *
 * @throws {CorruptError} E_CODEC_MISMATCH for a codec the prior was not trained for. @throws {UsageError} for prompts and options.
 */
export async function generate({
  prior: directory,
  codec: codecDirectory,
  prompts,
  sampling = {},
}: GenerateOptions): Promise<Generated> {
  const prior = await loadPrior(directory);
  try {
    const codec = await loadCodec(codecDirectory ?? directory);
    try {
      prior.assertCodec(codec.fingerprint);
      const tokens = await prior.generate(prompts, sampling);
      const n = sampling.n ?? 1;
      return {
        images: (await codec.decode(tokens)) as Image[],
        tokens,
        prompts: tokens.map((_, i) => String(prompts[Math.floor(i / n)] ?? '')),
      };
    } finally {
      codec.dispose();
    }
  } finally {
    prior.dispose();
  }
}

/** Name of the `i`-th file of many, from 0. */
export const numbered = (i: number): string => String(i).padStart(5, '0');

export interface WriteImagesOptions {
  /** Write over what is there. */
  force?: boolean;
  /** Of a grid, as `imageGrid` takes them. */
  labels?: readonly string[];
  scale?: number;
  columns?: number;
  /** Of the files in a directory, without `.png`. Default: numbers from 00000 on. */
  names?: readonly string[];
}

/**
 * Writes pictures: to a `.png`, one alone or several as a grid; to a directory, one file each.
 *
 * @returns the paths written.
 * @throws {UsageError} E_OUTPUT_EXISTS unless `force`, E_OUTPUT_NAME for the name of a file that is no PNG.
 */
export async function writeImages(
  out: string,
  images: readonly Image[],
  options: WriteImagesOptions = {},
): Promise<string[]> {
  checkImages('writeImages', images);
  refuseOtherPictures(out);
  if (isPng(out)) {
    refuseExisting(out, options.force);
    createParent(out);
    const picture =
      images.length === 1
        ? images[0]!
        : imageGrid(images, { labels: options.labels, scale: options.scale, columns: options.columns });
    writeFileAtomic(out, await encodePng(picture));
    return [out];
  }
  createDirectory(out);
  const paths = images.map((_, i) => join(out, `${options.names?.[i] ?? numbered(i)}.png`));
  for (const path of paths) refuseExisting(path, options.force);
  for (const [i, path] of paths.entries()) writeFileAtomic(path, await encodePng(images[i]!));
  return paths;
}

function refuseExisting(path: string, force = false): void {
  if (!force && nodeFiles.status(path))
    throw new UsageError(
      'E_OUTPUT_EXISTS',
      `--out ${path}: expected a new file, found one. Pass --force to write over it.`,
    );
}
