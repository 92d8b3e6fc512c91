import { Command } from 'commander';
import type { CodeSpread } from '../metrics/codebook.js';
import { formatNumber } from '../report/format.js';
import type { CodecEvaluation } from '../sdk/evaluate.js';
import type { AnyMedium } from '../media/medium.js';
import { noteFewSamples } from './few-samples.js';
import { addDataOptions, dataOption, addFeatureOptions, jsonOption, splitOption } from './options.js';
import type { DataFlags, FeatureFlags } from './options.js';
import { expectData, expectFile, expectModel } from './paths.js';
import { countedProgress } from './progress.js';
import type { Session } from './session.js';
import { dataEvents, Skips } from './skips.js';

interface Flags extends DataFlags, FeatureFlags {
  codec: string;
  data: string[];
  split: 'train' | 'test' | 'all';
  skipBad?: boolean;
}

const EXAMPLE = `
Examples:
  tesserae eval codec --codec runs/codec --data photos/ --json
  tesserae eval codec --codec runs/codec --data photos/ --features inception.onnx --feature-scaling signed`;

export function evalCodecCommand(session: Session): Command {
  const command = new Command('codec')
    .description('evaluate a codec on a split: reconstruction error, rate and codebook usage')
    .requiredOption('--codec <DIR>', 'model directory of the codec')
    .addOption(dataOption())
    .addOption(splitOption('test'))
    .option('--skip-bad', 'skip files and samples that cannot be used; exit with code 7');
  addFeatureOptions(command);
  return addDataOptions(command)
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLE)
    .action((flags: Flags) => evalCodec(session, flags));
}

async function evalCodec(session: Session, flags: Flags): Promise<void> {
  expectModel('--codec', flags.codec);
  expectData(flags.data);
  if (flags.features !== undefined) expectFile('--features', flags.features);
  await session.startEngine();
  const [{ evaluateCodecOn, figuresOf }, { mediumOf }] = await Promise.all([
    import('../sdk/evaluate.js'),
    import('../sdk/models.js'),
  ]);
  const skips = new Skips(session);
  const { onProgress, finish } = countedProgress(session, 'eval codec', 'samples');
  const evaluation = await evaluateCodecOn({
    ...flags,
    signal: session.signal,
    onProgress,
    onBad: flags.skipBad ? skips.add : undefined,
    ...dataEvents(session, skips),
  });
  finish();
  session.result(figuresOf(evaluation), [
    row('samples', `${evaluation.samples} of split ${flags.split}`),
    ...qualityRows(evaluation, mediumOf(flags.codec)),
    ...codeRows(evaluation),
  ]);
  await noteFewSamples(session, evaluation);
  skips.conclude();
}

const row = (name: string, value: string): string => `${name.padEnd(16)} ${value}`;

function qualityRows(
  { nmse, quality, rate, measures, rfid, features }: CodecEvaluation,
  { figures, rate: unit }: AnyMedium,
): string[] {
  return [
    row('NMSE', formatNumber(nmse)),
    ...figures.map(({ name, label }) => row(label, formatNumber(quality[name] ?? NaN))),
    ...Object.entries(measures).map(([name, value]) => row(name, formatNumber(value))),
    ...(features && rfid !== undefined
      ? [
          row(
            'rFID',
            `${formatNumber(rfid)}, in ${features.dimension} features "${features.output}" of ${features.network}`,
          ),
        ]
      : []),
    ...(rate
      ? [row(unit.label, `${formatNumber(rate.nominal)}, entropy-coded ${formatNumber(rate.empirical)}`)]
      : [row('codes', 'none: the latents are continuous')]),
  ];
}

function codeRows({ maps }: CodecEvaluation): string[] {
  return maps.flatMap((map) => [
    row(map.name, spreadText(map, map.vocabSize * map.levels)),
    ...(map.byLevel ?? []).map((level, i) => row(`  level ${i + 1}`, spreadText(level, map.vocabSize))),
  ]);
}

function spreadText({ used, entropy, entropyRatio, perplexity }: CodeSpread, codes: number): string {
  return `${used} of ${codes} codes in use, entropy ${formatNumber(entropy / Math.LN2)} bits (${formatNumber(entropyRatio)} of the maximum), perplexity ${formatNumber(perplexity)}`;
}
