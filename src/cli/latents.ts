// Explores a codec: three images that show its latents and codes.
import { Command, Option } from 'commander';
import { UsageError } from '../errors.js';
import type { Image } from '../interfaces/index.js';
import { addOutputOptions, jsonOption, listOption, numberOption } from './options.js';
import { expectFile, expectModel, expectOutputFile } from './paths.js';
import type { Session } from './session.js';
import { createParent, expectExtension } from '../sdk/output-names.js';

interface Flags {
  codec: string;
  out: string;
  force?: boolean;
}

const stepsOption = (otherwise: number): Option =>
  numberOption('-n, --steps <N>', 'images per row', { min: 2, max: 1024, whole: true }).default(otherwise);

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
  const command = latentsSubcommand('interpolate', 'interpolate between two images in latent space')
    .argument('<from>', 'PNG, JPEG or WebP')
    .argument('<to>', 'PNG, JPEG or WebP');
  return addOutputOptions(command, 'output .png with the images in a row', { resumes: false })
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
      check(flags, { from, to });
      await session.startEngine();
      const { interpolate } = await import('../sdk/latents.js');
      const { steps, path, codec } = flags;
      const images = await interpolate({ codec, from, to, steps, path });
      await write(flags, images, images.length);
      session.result({ kind: 'interpolation', out: flags.out, pictures: images.length }, [
        `${images.length} images from ${from} to ${to} in ${flags.out}`,
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
  const command = latentsSubcommand('traverse', 'vary an image along dimensions of the latents').argument(
    '<image>',
    'PNG, JPEG or WebP',
  );
  return addOutputOptions(command, 'output .png with one dimension per row', { resumes: false })
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
    .action(async (picture: string, flags: TraverseFlags) => {
      check(flags, { image: picture });
      const dims = flags.dims?.map(wholeNumber);
      await session.startEngine();
      const { traverse } = await import('../sdk/latents.js');
      const { images, columns, ...made } = await traverse({ ...flags, picture, dims });
      await write(flags, images, columns);
      const what = flags.grid
        ? `dimension ${made.dims[0]} vertically, ${made.dims[1]} horizontally`
        : `one row for each of the dimensions ${made.dims.join(', ')}`;
      session.result({ kind: 'traversal', out: flags.out, pictures: images.length, columns, ...made }, [
        `${images.length} images in ${flags.out}: ${what}, from -${flags.range} to +${flags.range} around ${picture}`,
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
  const command = latentsSubcommand('codes', 'draw the codes of an image over it, one color per id').argument(
    '<image>',
    'PNG, JPEG or WebP',
  );
  return addOutputOptions(command, 'output .png with the image and its codes', { resumes: false })
    .option('--map <NAME>', 'token map to draw (default: the one with the most codes)')
    .addOption(
      numberOption('--level <L>', 'quantizer level to draw, if there are several ids per position', {
        min: 0,
        whole: true,
      }).default(0),
    )
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  tesserae latents codes photo.jpg --codec runs/codec --out codes.png')
    .action(async (picture: string, flags: CodesFlags) => {
      check(flags, { image: picture });
      await session.startEngine();
      const { codeMap } = await import('../sdk/latents.js');
      const { picture: seen, overlay, ...made } = await codeMap({ ...flags, picture });
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

function check({ codec, out, force }: Flags, pictures: Record<string, string>): void {
  expectModel('--codec', codec);
  for (const [name, path] of Object.entries(pictures)) expectFile(`<${name}>`, path);
  expectExtension(out, ['.png']);
  expectOutputFile(
    { out, force },
    { '--codec': codec, ...Object.fromEntries(Object.entries(pictures).map(([name, path]) => [`<${name}>`, path])) },
  );
  createParent(out);
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new UsageError('E_OPTION', `--dims: expected whole numbers from 0, received "${text}".`);
  return value;
}

async function write({ out, force }: Flags, images: readonly Image[], columns: number): Promise<void> {
  const { writeImages } = await import('../sdk/generate.js');
  await writeImages(out, images, { force, columns });
}

const hex = (color: readonly number[]): string =>
  `#${color.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
