import { Command, Option } from 'commander';
import { UsageError } from '../errors.js';
import { excerpt } from '../names.js';
import type { Dataset, Image, Prompt, SamplingOptions } from '../interfaces/index.js';
import { addOutputOptions, jsonOption, numberOption, seedOption } from './options.js';
import {
  expectExisting,
  expectFile,
  expectModel,
  expectOutputDirectory,
  expectOutputFile,
  expectPrior,
} from './paths.js';
import { countedProgress } from './progress.js';
import type { Session } from './session.js';
import { createParent, isPng, refuseOtherPictures } from '../sdk/output-names.js';
import type { Neighbor } from '../sdk/neighbors.js';

interface Flags {
  prior: string;
  codec?: string;
  out: string;
  force?: boolean;
  n: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  cfg?: number;
  tooLong: 'cut' | 'refuse';
  seed: number;
  batchSize?: number;
  prime?: string;
  primeRows?: number;
  neighbors?: string;
  json?: boolean;
}

const EXAMPLE = `
Examples:
  tesserae generate "a red bird" --prior runs/prior --out birds.png -n 16
  tesserae generate "a red bird" "a blue bird" --prior runs/prior --out birds/ --cfg 3 --top-p 0.95 --seed 7
  tesserae generate "a red bird" --prior runs/prior --out birds.png -n 8 --neighbors photos/
  tesserae generate "a red bird" --prior runs/prior --prime half.png --prime-rows 8 --out rest.png`;

export function generateCommand(session: Session): Command {
  const command = new Command('generate')
    .description('generate images from prompts')
    .argument('[prompts...]', 'texts or class names; omit for an unconditional prior')
    .requiredOption('--prior <DIR>', 'model directory of the prior')
    .option('--codec <DIR>', 'model directory of the codec (default: the codec stored with the prior)');
  addOutputOptions(command, 'output .png (several images form a grid) or directory (one file per image)', {
    resumes: false,
  });
  return command
    .addOption(numberOption('-n, --n <N>', 'images per prompt', { min: 1, max: 1e6, whole: true }).default(1))
    .addOption(
      numberOption('--temperature <T>', 'sampling temperature: lower is more conservative; 0 is greedy', { min: 0 }),
    )
    .addOption(numberOption('--top-k <K>', 'sample from the K most likely codes; 0 uses all', { min: 0, whole: true }))
    .addOption(
      numberOption('--top-p <P>', 'sample from the most likely codes with total probability P', { above: 0, max: 1 }),
    )
    .addOption(
      numberOption('--cfg <S>', 'classifier-free guidance scale: above 1 follows the prompt more closely', { min: 0 }),
    )
    .addOption(
      new Option('--too-long <WHAT>', 'if a prompt is longer than the prior reads: truncate it with a warning, or fail')
        .choices(['cut', 'refuse'])
        .default('cut'),
    )
    .addOption(seedOption())
    .option('--prime <FILE>', 'image whose top rows the samples continue')
    .addOption(
      numberOption('--prime-rows <R>', 'number of code rows to keep from it (default: the upper half)', {
        min: 1,
        whole: true,
      }),
    )
    .option(
      '--neighbors <PATH>',
      'dataset to search: shows the nearest training image next to each sample, which reveals memorization',
    )
    .addOption(numberOption('--batch-size <N>', 'images generated together', { min: 1, max: 4096, whole: true }))
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLE)
    .action((prompts: string[], flags: Flags) => generate(session, prompts, flags));
}

async function generate(session: Session, texts: string[], flags: Flags): Promise<void> {
  check(flags);
  await refuseUnusedPrompts(texts, flags.prior);
  createParent(flags.out);
  const prompts: Prompt[] = texts.length > 0 ? texts : [null];
  await session.startEngine();
  const sdk = await import('../sdk/generate.js');
  const { out, prior, codec, force, prime, primeRows, neighbors, json: _json, ...sampling } = flags;
  const total = prompts.length * flags.n;
  // Open the dataset before generating, so that a dataset that cannot be used does not waste the work.
  const known =
    neighbors === undefined
      ? undefined
      : await (await import('../data/open.js')).openDataset(neighbors, { skipBad: true });
  const progress = session.progress({ label: 'generate', total, unit: 'images' });
  const options: SamplingOptions = {
    ...sampling,
    signal: session.signal,
    onProgress: (fraction) => progress.update(Math.floor(fraction * total)),
    onNote: (note) => progress.note(`warning: ${note}`),
  };
  if (prime !== undefined)
    options.prime = await (
      await import('../sdk/prime.js')
    ).primeCodes({ prior, codec, picture: prime, rows: primeRows });
  const { images, tokens, prompts: labels } = await sdk.generate({ prior, codec, prompts, sampling: options });
  progress.finish();
  const near = known && (await findNeighbors(session, images, known));
  const files = near
    ? await sdk.writeImages(
        out,
        near.flatMap(({ image }, i) => [images[i]!, image]),
        {
          force,
          labels: near.flatMap(({ key, caption }, i) => [labels[i]!, `near: ${caption || key}`]),
          columns: 2 * Math.ceil(Math.sqrt(images.length / 2)),
          names: near.flatMap((_, i) => [sdk.numbered(i), `${sdk.numbered(i)}-nearest`]),
        },
      )
    : await sdk.writeImages(out, images, { force, labels: texts.length > 0 ? labels : undefined });
  if (!isPng(out))
    await describe(out, {
      pictures: images.length,
      codec: tokens[0]!.codec,
      prior,
      prompts: texts,
      sampling: { ...sampling, ...(prime === undefined ? {} : { prime }) },
    });
  session.result(
    {
      kind: 'pictures',
      out,
      files,
      pictures: images.length,
      prompts: labels,
      neighbors: near?.map(({ key, caption, mse }) => ({ key, caption, mse })),
    },
    [`${images.length} ${images.length === 1 ? 'image' : 'images'} in ${out}`],
  );
}

async function findNeighbors(session: Session, images: readonly Image[], data: Dataset): Promise<Neighbor[]> {
  const { nearestNeighbors } = await import('../sdk/neighbors.js');
  const { onProgress, finish } = countedProgress(session, 'compare', 'images');
  const found = await nearestNeighbors(images, data, { signal: session.signal, onProgress });
  finish();
  await data.close();
  return found;
}

/** Writes the card that describes a directory of images to `inspect`. */
async function describe(
  out: string,
  {
    prior,
    ...made
  }: { pictures: number; codec: string; prior: string; prompts: string[]; sampling: Record<string, string | number> },
): Promise<void> {
  const [{ readModelCard }, { writePicturesCard }] = await Promise.all([
    import('../checkpoint/model.js'),
    import('../sdk/pictures.js'),
  ]);
  writePicturesCard(out, { command: 'generate', ...made, prior: readModelCard(prior).fingerprint });
}

function check({ prior, codec, out, force, prime, primeRows, neighbors }: Flags): void {
  expectPrior('--prior', prior);
  if (codec !== undefined) expectModel('--codec', codec);
  if (prime !== undefined) expectFile('--prime', prime);
  if (primeRows !== undefined && prime === undefined)
    throw new UsageError('E_OPTION', '--prime-rows: requires --prime.');
  if (neighbors !== undefined) expectExisting('--neighbors', neighbors);
  const sources = { '--prior': prior, '--codec': codec, '--prime': prime, '--neighbors': neighbors };
  refuseOtherPictures(out);
  if (!isPng(out)) return expectOutputDirectory({ out, force }, sources, { resumes: false });
  expectOutputFile({ out, force }, sources);
}

/** Rejects prompts for an unconditional prior, which would ignore them. */
async function refuseUnusedPrompts(texts: readonly string[], directory: string): Promise<void> {
  const { readModelCard } = await import('../checkpoint/model.js');
  const { conditioning } = readModelCard(directory);
  if (texts.length > 0 && conditioning === 'none') {
    throw new UsageError(
      'E_PROMPT',
      `prompt "${excerpt(texts[0]!)}": expected no prompt, because ${directory} was trained without captions or classes. Omit it, or train with --conditioning text.`,
    );
  }
}
