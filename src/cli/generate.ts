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
    .description('draw pictures from prompts')
    .argument('[prompts...]', 'texts, or class names; none for a prior that listens to nothing')
    .requiredOption('--prior <DIR>', 'model directory of the prior')
    .option('--codec <DIR>', 'model directory of the codec (default: the one the prior carries)');
  addOutputOptions(command, 'a .png (several pictures become a grid) or a directory (one file a picture)', {
    resumes: false,
  });
  return command
    .addOption(numberOption('-n, --n <N>', 'pictures for each prompt', { min: 1, max: 1e6, whole: true }).default(1))
    .addOption(
      numberOption('--temperature <T>', '1 draws as the model says, less is safer, 0 takes the likeliest', { min: 0 }),
    )
    .addOption(numberOption('--top-k <K>', 'draw among the K likeliest codes; 0 among all', { min: 0, whole: true }))
    .addOption(
      numberOption('--top-p <P>', 'draw among the likeliest codes that make up this probability', { above: 0, max: 1 }),
    )
    .addOption(numberOption('--cfg <S>', 'classifier-free guidance: above 1 follows the prompt harder', { min: 0 }))
    .addOption(
      new Option(
        '--too-long <WHAT>',
        'a prompt longer than the prior reads: use its beginning with a warning, or refuse it',
      )
        .choices(['cut', 'refuse'])
        .default('cut'),
    )
    .addOption(seedOption())
    .option('--prime <FILE>', 'a picture whose top rows the samples continue')
    .addOption(
      numberOption('--prime-rows <R>', 'rows of codes taken from it (default: the upper half)', {
        min: 1,
        whole: true,
      }),
    )
    .option(
      '--neighbors <PATH>',
      'a dataset: beside each picture, its nearest in the training split, which tells new from learned by heart',
    )
    .addOption(numberOption('--batch-size <N>', 'pictures computed together', { min: 1, max: 4096, whole: true }))
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLE)
    .action((prompts: string[], flags: Flags) => generate(session, prompts, flags));
}

async function generate(session: Session, texts: string[], flags: Flags): Promise<void> {
  check(flags);
  await refuseUnheardPrompts(texts, flags.prior);
  createParent(flags.out);
  const prompts: Prompt[] = texts.length > 0 ? texts : [null];
  await session.startEngine();
  const sdk = await import('../sdk/generate.js');
  const { out, prior, codec, force, prime, primeRows, neighbors, json: _json, ...sampling } = flags;
  const total = prompts.length * flags.n;
  // Opened before anything is drawn: a dataset that cannot be used must not cost the pictures.
  const known =
    neighbors === undefined
      ? undefined
      : await (await import('../data/open.js')).openDataset(neighbors, { skipBad: true });
  const progress = session.progress({ label: 'generate', total, unit: 'pictures' });
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
    [`${images.length} ${images.length === 1 ? 'picture' : 'pictures'} in ${out}`],
  );
}

async function findNeighbors(session: Session, images: readonly Image[], data: Dataset): Promise<Neighbor[]> {
  const { nearestNeighbors } = await import('../sdk/neighbors.js');
  const { onProgress, finish } = countedProgress(session, 'compare', 'pictures');
  const found = await nearestNeighbors(images, data, { signal: session.signal, onProgress });
  finish();
  await data.close();
  return found;
}

/** What `inspect` will say of a directory of pictures. */
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
    throw new UsageError('E_OPTION', '--prime-rows: expected --prime with it, received it alone.');
  if (neighbors !== undefined) expectExisting('--neighbors', neighbors);
  const sources = { '--prior': prior, '--codec': codec, '--prime': prime, '--neighbors': neighbors };
  refuseOtherPictures(out);
  if (!isPng(out)) return expectOutputDirectory({ out, force }, sources, { resumes: false });
  expectOutputFile({ out, force }, sources);
}

/** A prior that listens to nothing would draw the same for every prompt. */
async function refuseUnheardPrompts(texts: readonly string[], directory: string): Promise<void> {
  const { readModelCard } = await import('../checkpoint/model.js');
  const { conditioning } = readModelCard(directory);
  if (texts.length > 0 && conditioning === 'none') {
    throw new UsageError(
      'E_PROMPT',
      `prompt "${excerpt(texts[0]!)}": expected none for ${directory}, which was trained without captions or classes. Leave it out, or train with --conditioning text.`,
    );
  }
}
