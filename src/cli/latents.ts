// Explores a codec: drawings of its latents and codes.
import { Command, Option } from 'commander';
import { UsageError } from '../errors.js';
import type { Media } from '../interfaces/index.js';
import type { AnyMedium } from '../media/medium.js';
import { counted } from '../names.js';
import { addOutputOptions, jsonOption, listOption, numberOption } from './options.js';
import { expectFile, expectMediaOutput, expectModel } from './paths.js';
import type { Session } from './session.js';

/** What is said of an argument that is a file of the codec's medium. */
const SAMPLE = 'file of a sample, such as a PNG, JPEG or WebP';

interface Flags {
  codec: string;
  out: string;
  force?: boolean;
}

const stepsOption = (otherwise: number): Option =>
  numberOption('-n, --steps <N>', 'samples per row', { min: 2, max: 1024, whole: true }).default(otherwise);

function latentsSubcommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .requiredOption('--codec <DIR>', 'model directory of the codec, or of tokens or a prior that contain it');
}

export function latentsCommand(session: Session): Command {
  return new Command('latents')
    .description("explore a codec's latents and codes")
    .addCommand(interpolateCommand(session))
    .addCommand(traverseCommand(session))
    .addCommand(codesCommand(session));
}

interface InterpolateFlags extends Flags {
  steps: number;
  path?: 'linear' | 'spherical';
}

function interpolateCommand(session: Session): Command {
  const command = latentsSubcommand('interpolate', 'interpolate between two samples in latent space')
    .argument('<from>', SAMPLE)
    .argument('<to>', SAMPLE);
  return addOutputOptions(command, 'output .png with the samples in a row, or directory', { resumes: false })
    .addOption(stepsOption(8))
    .addOption(
      new Option(
        '--path <PATH>',
        'interpolation path: linear or spherical (default: spherical for codecs with continuous latents, otherwise linear)',
      ).choices(['linear', 'spherical']),
    )
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExample:\n  tesserae latents interpolate cat.jpg dog.jpg --codec runs/codec --out way.png -n 9',
    )
    .action(async (from: string, to: string, flags: InterpolateFlags) => {
      const { noun } = await check(session, flags, { from, to });
      const { interpolate } = await import('../sdk/latents.js');
      const { steps, path, codec } = flags;
      const media = await interpolate({ codec, from, to, steps, path });
      await write(flags, media, media.length);
      session.result({ kind: 'interpolation', out: flags.out, samples: media.length }, [
        `${counted(media.length, noun)} from ${from} to ${to} in ${flags.out}`,
      ]);
    });
}

interface TraverseFlags extends Flags {
  dims?: string[];
  grid?: boolean;
  steps: number;
  range: number;
}

function traverseCommand(session: Session): Command {
  const command = latentsSubcommand('traverse', 'vary a sample along dimensions of the latents').argument(
    '<sample>',
    SAMPLE,
  );
  return addOutputOptions(command, 'output .png with one dimension per row, or directory', { resumes: false })
    .addOption(
      listOption('--dims <A,B,C>', 'dimensions to vary, from 0 (default: the first ten, or with --grid the first two)'),
    )
    .option('--grid', 'vary two dimensions together, one per axis of the grid')
    .addOption(stepsOption(9))
    .addOption(numberOption('--range <R>', 'distance in each direction, in latent units', { above: 0 }).default(3))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  tesserae latents traverse face.png --codec runs/vae --out dims.png\n  tesserae latents traverse face.png --codec runs/vae --out phase.png --dims 3,7 --grid -n 11',
    )
    .action(async (sample: string, flags: TraverseFlags) => {
      const dims = flags.dims?.map(wholeNumber);
      const { noun } = await check(session, flags, { sample });
      const { traverse } = await import('../sdk/latents.js');
      const { media, columns, ...made } = await traverse({ ...flags, sample, dims });
      await write(flags, media, columns);
      const what = flags.grid
        ? `dimension ${made.dims[0]} vertically, ${made.dims[1]} horizontally`
        : `one row for each of the dimensions ${made.dims.join(', ')}`;
      session.result({ kind: 'traversal', out: flags.out, samples: media.length, columns, ...made }, [
        `${counted(media.length, noun)} in ${flags.out}: ${what}, from -${flags.range} to +${flags.range} around ${sample}`,
      ]);
    });
}

interface CodesFlags extends Flags {
  map?: string;
  level: number;
}

/** Number of codes to list. */
const LISTED = 10;

function codesCommand(session: Session): Command {
  const command = latentsSubcommand('codes', 'draw the codes of a sample over it, one color per id').argument(
    '<sample>',
    SAMPLE,
  );
  return addOutputOptions(command, 'output .png with the sample and its codes, or directory', { resumes: false })
    .option('--map <NAME>', 'token map to draw (default: the one with the most codes)')
    .addOption(
      numberOption('--level <L>', 'quantizer level to draw, if there are several ids per position', {
        min: 0,
        whole: true,
      }).default(0),
    )
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  tesserae latents codes photo.jpg --codec runs/codec --out codes.png')
    .action(async (sample: string, flags: CodesFlags) => {
      await check(session, flags, { sample });
      const { codeMap } = await import('../sdk/latents.js');
      const { sample: seen, overlay, ...made } = await codeMap({ ...flags, sample });
      await write(flags, [seen, overlay], 2);
      const total = made.codes.reduce((sum, { count }) => sum + count, 0);
      session.result({ kind: 'code-map', out: flags.out, ...made }, [
        `${total} codes of map ${made.name}, ${made.codes.length} distinct, in ${flags.out}`,
        ...made.codes
          .slice(0, LISTED)
          .map(({ id, count, color }) => `  ${String(id).padStart(6)}  ${hex(color)}  ${count} times`),
      ]);
    });
}

/** Checks paths before anything is computed. @returns the codec's medium. */
async function check(session: Session, flags: Flags, samples: Record<string, string>): Promise<AnyMedium> {
  const sources = Object.fromEntries(Object.entries(samples).map(([name, path]) => [`<${name}>`, path]));
  expectModel('--codec', flags.codec);
  for (const [name, path] of Object.entries(sources)) expectFile(name, path);
  await session.startEngine();
  const { mediumOf } = await import('../sdk/models.js');
  const medium = mediumOf(flags.codec);
  expectMediaOutput(flags, { '--codec': flags.codec, ...sources }, medium, 2);
  return medium;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new UsageError('E_OPTION', `--dims: expected whole numbers from 0, received "${text}".`);
  return value;
}

async function write({ out, force }: Flags, samples: readonly Media[], columns: number): Promise<void> {
  const { writeMedia } = await import('../sdk/write-media.js');
  await writeMedia(out, samples, { force, columns });
}

const hex = (color: readonly number[]): string =>
  `#${color.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
