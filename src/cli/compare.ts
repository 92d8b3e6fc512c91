import { Command } from 'commander';
import { formatNumber } from '../report/format.js';
import type { Column } from '../sdk/compare-report.js';
import type { CodecComparison } from '../sdk/compare.js';
import { noteFewSamples } from './few-samples.js';
import { addDataOptions, dataOption, addFeatureOptions, addOutputOptions, jsonOption, splitOption } from './options.js';
import type { DataFlags, FeatureFlags, OutputFlags } from './options.js';
import { dataSources, expectData, expectFile, expectModel, expectOutputFile } from './paths.js';
import { countedProgress } from './progress.js';
import type { Session } from './session.js';
import { createParent, expectExtension } from '../sdk/output-names.js';
import { dataEvents, Skips } from './skips.js';

interface Flags extends DataFlags, FeatureFlags, OutputFlags {
  data: string[];
  split: 'train' | 'test' | 'all';
  skipBad?: boolean;
}

const EXAMPLE = `
Example:
  tesserae compare runs/vq runs/fsq runs/residual --data photos/ --out report.html`;

export function compareCommand(session: Session): Command {
  const command = new Command('compare')
    .description('compare codecs on the same samples: table, reconstructions, rate-distortion chart')
    .argument('<codecs...>', 'model directories of at least two codecs')
    .addOption(dataOption(false))
    .addOption(splitOption('test'))
    .option('--skip-bad', 'skip files and samples that cannot be used; exit with code 7');
  addOutputOptions(command, 'path of the report, an .html file', { resumes: false });
  addFeatureOptions(command);
  return addDataOptions(command)
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLE)
    .action((codecs: string[], flags: Flags) => compare(session, codecs, flags));
}

async function compare(session: Session, codecs: string[], flags: Flags): Promise<void> {
  check(codecs, flags);
  await session.startEngine();
  const [{ compareCodecs }, { comparisonColumns, comparisonReport }, { writeFileAtomic }, { figuresOf }] =
    await Promise.all([
      import('../sdk/compare.js'),
      import('../sdk/compare-report.js'),
      import('../files/commit.js'),
      import('../sdk/evaluate.js'),
    ]);
  const skips = new Skips(session);
  const { onProgress, finish } = countedProgress(session, 'compare', 'samples');
  const { out, force: _force, ...options } = flags;
  const comparison = await compareCodecs({
    ...options,
    codecs,
    signal: session.signal,
    onProgress,
    onBad: flags.skipBad ? skips.add : undefined,
    ...dataEvents(session, skips),
  });
  finish();
  writeFileAtomic(out, await comparisonReport(comparison, { out, date: new Date() }));
  const { examples: _examples, codecs: compared, ...figures } = comparison;
  session.result({ ...figures, codecs: compared.map(figuresOf), out }, [
    ...tableLines(comparison, comparisonColumns(comparison)),
    '',
    `report in ${out}`,
  ]);
  await noteFewSamples(session, comparison.codecs[0]!);
  skips.conclude();
}

function check(codecs: readonly string[], { data, out, force, features }: Flags): void {
  for (const codec of codecs) expectModel('CODEC', codec);
  expectData(data);
  if (features !== undefined) expectFile('--features', features);
  expectExtension(out, ['.html', '.htm']);
  expectOutputFile(
    { out, force },
    {
      ...dataSources(data),
      '--features': features,
      ...Object.fromEntries(codecs.map((codec) => [`CODEC ${codec}`, codec])),
    },
  );
  createParent(out);
}

/** Formats the report's table for a terminal. */
function tableLines({ codecs }: CodecComparison, columns: readonly Column[]): string[] {
  const cells = columns.map(([name, value]) => [name, ...codecs.map((codec) => cellText(value(codec)))]);
  const widths = cells.map((column) => Math.max(...column.map(({ length }) => length)));
  return Array.from({ length: codecs.length + 1 }, (_, row) =>
    cells
      .map((column, i) => column[row]!.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  );
}

function cellText(value: string | number | boolean | null): string {
  if (value === null) return '-';
  return typeof value === 'number' ? formatNumber(value) : String(value);
}
