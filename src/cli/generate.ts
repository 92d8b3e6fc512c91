import { Command, Option } from 'commander';
import { UsageError } from '../errors.js';
import { counted, excerpt } from '../names.js';
import type { Dataset, Media, Prompt } from '../interfaces/index.js';
import type { AnyMedium } from '../media/medium.js';
import { addOutputOptions, jsonOption, numberOption, seedOption } from './options.js';
import { expectExisting, expectFile, expectMediaOutput, expectModel, expectPrior } from './paths.js';
import { countedProgress } from './progress.js';
import type { Session } from './session.js';
import type { Neighbor } from '../sdk/neighbors.js';

interface Flags {
  prior: string;
  codec?: string;
  out?: string;
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
  scale?: number;
  columns?: number;
  labels: boolean;
  json?: boolean;
}

/** The output that is no file. */
const STDOUT = '-';

const EXAMPLE = `
Examples:
  tesserae generate "a red bird" --prior runs/prior -n 16
  tesserae generate "a red bird" --prior runs/prior --out - | display
  tesserae generate "a red bird" "a blue bird" --prior runs/prior --out birds/ --cfg 3 --top-p 0.95 --seed 7
  tesserae generate "a red bird" --prior runs/prior --out birds.png -n 8 --neighbors photos/
  tesserae generate "a red bird" --prior runs/prior --prime half.png --prime-rows 8 --out rest.png`;

export function generateCommand(session: Session): Command {
  const command = new Command('generate')
    .description('generate images or other media from prompts')
    .argument('[prompts...]', 'texts or class names; omit for an unconditional prior')
    .requiredOption('--prior <DIR>', 'model directory of the prior')
    .option('--codec <DIR>', 'model directory of the codec (default: the codec stored with the prior)');
  addOutputOptions(
    command,
    'output .png, .jpg or .webp (a row of images per prompt), directory (one file per sample), or - for a PNG on stdout (default: named after the prompt)',
    { resumes: false, required: false },
  );
  return command
    .addOption(numberOption('-n, --n <N>', 'samples per prompt', { min: 1, max: 1e6, whole: true }).default(1))
    .addOption(
      numberOption(
        '--temperature <T>',
        'sampling temperature: lower is more conservative; 0 is greedy (default: that of the prior, or 1)',
        { min: 0 },
      ),
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
    .option('--prime <FILE>', 'sample whose beginning the generated ones continue: the top rows of an image')
    .addOption(
      numberOption('--prime-rows <R>', 'number of code rows to keep from it (default: the upper half)', {
        min: 1,
        whole: true,
      }),
    )
    .option(
      '--neighbors <PATH>',
      'dataset to search: shows the nearest training sample next to each generated one, which reveals memorization',
    )
    .addOption(
      numberOption(
        '--scale <N>',
        'enlarge images by a whole factor; 1 keeps their size (default: to a legible size, but unchanged in a directory)',
        { min: 1, max: 64, whole: true },
      ),
    )
    .addOption(
      numberOption('--columns <N>', 'images in a row (default: those of a prompt, at most 8)', {
        min: 1,
        max: 1000,
        whole: true,
      }),
    )
    .option('--no-labels', 'leave the prompts out of the picture')
    .addOption(numberOption('--batch-size <N>', 'samples generated together', { min: 1, max: 4096, whole: true }))
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLE)
    .action((prompts: string[], flags: Flags) => generate(session, prompts, flags));
}

async function generate(session: Session, texts: string[], flags: Flags): Promise<void> {
  check(flags);
  await refuseUnusedPrompts(texts, flags.prior);
  const prompts: Prompt[] = texts.length > 0 ? texts : [null];
  await session.startEngine();
  const { out: given, prior, codec, force, prime, primeRows, neighbors, json: _json, ...rest } = flags;
  const { scale, columns, labels, ...sampling } = rest;
  const [sdk, { mediumOf }, writing, { freeName }] = await Promise.all([
    import('../sdk/generate.js'),
    import('../sdk/models.js'),
    import('../sdk/write-media.js'),
    import('../sdk/output-names.js'),
  ]);
  const total = prompts.length * flags.n;
  const medium = mediumOf(codec ?? prior);
  const count = total * (neighbors === undefined ? 1 : 2);
  const out = given ?? freeName(texts, medium, count);
  if (out === STDOUT) refuseSeveral(medium, count);
  else
    expectMediaOutput(
      { out, force },
      { '--prior': prior, '--codec': codec, '--prime': prime, '--neighbors': neighbors },
      medium,
      count,
    );
  // Open the dataset before generating, so that a dataset that cannot be used does not waste the work.
  const known =
    neighbors === undefined
      ? undefined
      : await (await import('../data/open.js')).openDataset(neighbors, { skipBad: true, medium: medium.name });
  const progress = session.progress({ label: 'generate', total, unit: 'samples' });
  const generated = await sdk.generate({
    prior,
    codec,
    prompts,
    sampling,
    prime: prime === undefined ? undefined : { sample: prime, rows: primeRows },
    signal: session.signal,
    onProgress: (fraction) => progress.update(Math.floor(fraction * total)),
    onNote: (note) => progress.note(`warning: ${note}`),
  });
  progress.finish();
  const { media, prompts: ofSamples } = generated;
  const near = known && (await findNeighbors(session, media, known));
  const layout = { scale, columns, labels, neighbors: near };
  if (out === STDOUT) return session.bytes(await writing.encodeGenerated(generated, layout));
  const files = await writing.writeGenerated(out, generated, { force, ...layout });
  session.result(
    {
      kind: 'samples',
      medium: medium.name,
      out,
      files,
      samples: media.length,
      prompts: ofSamples,
      neighbors: near?.map(({ key, caption, mse }) => ({ key, caption, mse })),
    },
    [`${counted(media.length, medium.noun)} in ${out}`],
  );
}

/** @throws {UsageError} E_OPTION for several samples that do not fit into one file. */
function refuseSeveral({ files, noun }: AnyMedium, count: number): void {
  if (count > 1 && !files.join)
    throw new UsageError(
      'E_OPTION',
      `--out -: expected one sample, received ${counted(count, noun)}. Name a directory.`,
    );
}

async function findNeighbors(session: Session, samples: readonly Media[], data: Dataset): Promise<Neighbor[]> {
  const { nearestNeighbors } = await import('../sdk/neighbors.js');
  const { onProgress, finish } = countedProgress(session, 'compare', 'samples');
  const found = await nearestNeighbors(samples, data, { signal: session.signal, onProgress });
  finish();
  await data.close();
  return found;
}

function check({ prior, codec, out, json, prime, primeRows, neighbors }: Flags): void {
  if (out === STDOUT && json)
    throw new UsageError('E_OPTION', '--out -: cannot be combined with --json, which prints to stdout too.');
  if (out === STDOUT && process.stdout.isTTY)
    throw new UsageError('E_OPTION', '--out -: expected stdout to be a file or a pipe, received a terminal.');
  expectPrior('--prior', prior);
  if (codec !== undefined) expectModel('--codec', codec);
  if (prime !== undefined) expectFile('--prime', prime);
  if (primeRows !== undefined && prime === undefined)
    throw new UsageError('E_OPTION', '--prime-rows: requires --prime.');
  if (neighbors !== undefined) expectExisting('--neighbors', neighbors);
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
