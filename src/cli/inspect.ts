import { Command } from 'commander';
import { modelDirectory } from '../checkpoint/bundled.js';
import { EXIT } from '../errors.js';
import { shortFingerprint } from '../fingerprint.js';
import { axesText } from '../interfaces/tokens.js';
import type { MediaInfo } from '../interfaces/media.js';
import type { TokenMapSpec } from '../interfaces/tokens.js';
import { formatCount, formatNumber } from '../report/format.js';
import { summaryLines } from '../report/data-summary.js';
import type { DatasetInspection, Inspection } from '../sdk/inspection.js';
import { addDataOptions, jsonOption } from './options.js';
import type { DataFlags } from './options.js';
import { expectData } from './paths.js';
import type { Kept } from '../train/watch.js';
import type { Session } from './session.js';
import { metricsText } from './training.js';

const EXAMPLE = `
Example:
  tesserae inspect runs/tokens`;

export function inspectCommand(session: Session): Command {
  const command = new Command('inspect')
    .description(
      'describe a file or folder: codec, prior, tokens, file of tokens, dataset, training run, export, image or other sample',
    )
    .argument('<paths...>', 'path, or several archives of one dataset');
  return addDataOptions(command)
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLE)
    .action((paths: string[], flags: DataFlags) => inspect(session, paths, flags));
}

async function inspect(session: Session, paths: string[], flags: DataFlags): Promise<void> {
  expectData(paths.map(modelDirectory), 'PATH');
  const sdk = await import('../sdk/inspect.js');
  const found = await sdk.inspect(paths, flags);
  const { fullMedium } = await import('../media/node.js');
  const describe: Describe = (media) => fullMedium(media.kind).describe(media);
  session.result(found, [
    headline(found),
    ...rows(found, describe).map(([name, value]) => `  ${name.padEnd(14)} ${value}`),
  ]);
  if (found.kind === 'dataset') reportData(session, found);
  const problem = found.kind === 'tokens' ? found.health.problem : undefined;
  if (problem === undefined) return;
  session.note(problem);
  session.exitCode = EXIT.corrupt;
}

/**
 * Prints the warnings of a dataset and sets exit code 7 if files cannot be used. Other commands fail on the first such
 * file.
 */
function reportData(session: Session, { summary }: DatasetInspection): void {
  const [, ...warnings] = summaryLines(summary);
  for (const warning of warnings) session.note(warning);
  if (summary.bad.length > 0) session.exitCode = EXIT.skipped;
}

function headline({ kind, fingerprint, path }: Inspection): string {
  return `${kind.replace('-', ' ')}${fingerprint === null ? '' : ` ${shortFingerprint(fingerprint)}`}  ${path}`;
}

type Row = [name: string, value: string];
/** What is known of a sample, for people. */
type Describe = (media: MediaInfo) => string;

function rows(found: Inspection, describe: Describe): Row[] {
  const all = rowsOf(found, describe).map(([name, value]): [string, string | undefined] => [
    name,
    value === undefined ? undefined : String(value),
  ]);
  return all.filter((row): row is Row => row[1] !== undefined && row[1] !== '');
}

type Rows = [name: string, value: string | number | undefined][];
type Found<K extends Inspection['kind']> = Extract<Inspection, { kind: K }>;

/** What is printed of each kind of thing. Rows without a value are left out. */
const ROWS: { [K in Inspection['kind']]: (found: Found<K>, describe: Describe) => Rows } = {
  codec: modelRows,
  prior: modelRows,
  tokens: tokenRows,
  'token-file': (found, describe) => [
    ['samples', `${formatCount(found.samples)}, ${formatCount(found.bytes)} bytes`],
    ['codec', `${found.family} ${shortFingerprint(found.codec)}`],
    ['source', found.source],
    ['first', `${found.first.key}: ${describe(found.first.media)}`],
    ...found.first.maps.map((map): Row => [map.name, mapText(map)]),
    ['health', 'verified'],
  ],
  dataset: datasetRows,
  run: (found) => [
    ['model', found.model],
    ['progress', `step ${found.step}${found.steps === undefined ? '' : ` of ${found.steps}`}`],
    ['checkpoints', found.checkpoints.map((step) => `step ${step}`).join(', ')],
    ['last', metricsText(found.lastMetrics ?? {})],
    ['held out', metricsText(found.lastEvaluation ?? {})],
    ['next', 'run the same command with --resume'],
  ],
  export: (found) => [
    ['model', `${found.model.kind} ${found.model.name}`],
    ...found.functions.map(({ name, file, inputs, outputs }): Row => [
      name,
      `${file}: ${inputs.join(', ')} -> ${outputs.join(', ')}`,
    ]),
    ['health', 'verified'],
  ],
  samples: ({ made }) => [
    ['samples', `${formatCount(made.samples)}, ${made.medium}`],
    ['made by', made.command],
    ['codec', shortFingerprint(made.codec)],
    ['prior', made.prior && shortFingerprint(made.prior)],
    ['tokens', made.tokens && shortFingerprint(made.tokens)],
    ['prompts', listText(made.prompts)],
    ['sampling', metricsText(made.sampling ?? {})],
  ],
  demo: (found) => [
    ['prompts', `${found.obeyed} of ${found.prompts} followed`],
    ['seconds', metricsText(found.seconds)],
    ['contents', 'data, codec, tokens, prior (inspect each)'],
  ],
  sample: (found, describe) => [['format', `${found.format}, ${describe(found.media)}`]],
};

function rowsOf<K extends Inspection['kind']>(found: Found<K>, describe: Describe): Rows {
  return ROWS[found.kind as K](found, describe);
}

function modelRows(found: Found<'codec' | 'prior'>): Rows {
  return [
    ['family', found.name],
    ['parameters', formatCount(found.parameters)],
    ['tokens', found.maps.map(mapText).join(', ')],
    ['codec', found.codec && shortFingerprint(found.codec)],
    ['conditioning', found.conditioning],
    ['classes', listText(found.classes)],
    ['training', found.steps === undefined ? undefined : `${formatCount(found.steps)} steps`],
    ['weights', keptRow(found.training)],
    ['held out', metricsText(found.metrics ?? {})],
    ['health', found.health],
  ];
}

function tokenRows(found: Found<'tokens'>): Rows {
  const { samples } = found;
  return [
    ['samples', samples && `${formatCount(samples.train)} train, ${formatCount(samples.test)} test`],
    ['parts', `${found.parts}, ${formatCount(found.bytes)} bytes`],
    ['codec', found.codec && shortFingerprint(found.codec)],
    ['source', found.source],
    ['classes', listText(found.classes)],
    ['captions', found.captions],
    ...found.maps.map((map): Row => [
      map.name,
      `${mapText(map)}${map.used === undefined ? '' : `, ${map.used} in use, perplexity ${formatNumber(map.perplexity!)}`}`,
    ]),
    ['health', found.health.problem ?? 'verified'],
  ];
}

function datasetRows(found: DatasetInspection, describe: Describe): Rows {
  const { samples, captions } = found;
  return [
    ['format', `${found.format}, ${found.medium}`],
    ['samples', `${formatCount(samples.train)} train, ${formatCount(samples.test)} test`],
    ['captions', `${formatCount(captions.distinct)} distinct, on ${formatCount(captions.samples)} samples`],
    ['classes', listText(found.classes?.map((one) => `${one.name} (${one.samples})`))],
    ['first', firstText(found.first, describe)],
    ['data', summaryLines(found.summary)[0]!.replace('data: ', '')],
  ];
}

/** Describes which weights the model contains, if training chose among several. */
function keptRow(training: Record<string, unknown> | undefined): string | undefined {
  const kept = training?.kept as Partial<Kept> | undefined;
  if (typeof kept?.step !== 'number') return undefined;
  return `step ${formatCount(kept.step)}, ${kept.rule === 'best' && kept.figure !== null ? `best by ${kept.measure} (${formatNumber(kept.figure ?? NaN)})` : 'last'}`;
}

function firstText(first: DatasetInspection['first'], describe: Describe): string {
  if (!first) return 'none of the first samples can be decoded';
  return `${first.key}: ${describe(first.media)}${first.caption === undefined ? '' : `, "${first.caption}"`}`;
}

function mapText(map: TokenMapSpec): string {
  return `${map.name} ${axesText(map)}, ${map.vocabSize} codes`;
}

/** Joins a list, up to twelve items. */
function listText(items: readonly string[] | undefined): string | undefined {
  if (!items) return undefined;
  return items.length <= 12 ? items.join(', ') : `${items.slice(0, 12).join(', ')} and ${items.length - 12} more`;
}
