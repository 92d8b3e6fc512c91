import { Command } from 'commander';
import type { CodeSpread } from '../metrics/codebook.js';
import { formatNumber } from '../report/format.js';
import type { CodecEvaluation } from '../sdk/evaluate.js';
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
    .addOption(splitOption(['train', 'test', 'all'], 'test'))
    .option('--skip-bad', 'skip files and images that cannot be used; exit with code 7');
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
  const { evaluateCodecOn } = await import('../sdk/evaluate.js');
  const skips = new Skips(session);
  const { onProgress, finish } = countedProgress(session, 'eval codec', 'images');
  const {
    counts: _counts,
    examples: _examples,
    ...evaluation
  } = await evaluateCodecOn({
    ...flags,
    signal: session.signal,
    onProgress,
    onBad: flags.skipBad ? skips.add : undefined,
    ...dataEvents(session, skips),
  });
  finish();
  session.result(evaluation, [
    `samples          ${evaluation.samples} of split ${flags.split}`,
    ...qualityLines(evaluation),
    ...codeLines(evaluation),
  ]);
  await noteFewPictures(session, evaluation);
  skips.conclude();
}

function qualityLines({
  nmse,
  psnr,
  ssim,
  sharpness,
  measures,
  rfid,
  features,
}: Omit<CodecEvaluation, 'counts' | 'examples'>): string[] {
  return [
    `NMSE             ${formatNumber(nmse)}`,
    `PSNR             ${formatNumber(psnr)} dB`,
    `SSIM             ${formatNumber(ssim)}`,
    `sharpness        ${formatNumber(sharpness)} relative to the originals`,
    ...Object.entries(measures).map(([name, value]) => `${name.padEnd(16)} ${formatNumber(value)}`),
    ...(features
      ? [
          `rFID             ${formatNumber(rfid!)}, in ${features.dimension} features "${features.output}" of ${features.network}`,
        ]
      : []),
  ];
}

function codeLines({
  bitsPerPixel,
  empiricalBitsPerPixel,
  maps,
}: Omit<CodecEvaluation, 'counts' | 'examples'>): string[] {
  if (bitsPerPixel === undefined) return ['codes            none: the latents are continuous'];
  return [
    `bits per pixel   ${formatNumber(bitsPerPixel)}, entropy-coded ${formatNumber(empiricalBitsPerPixel!)}`,
    ...maps.flatMap((map) => [
      `${map.name.padEnd(16)} ${spreadText(map, map.vocabSize * map.levels)}`,
      ...(map.byLevel ?? []).map((level, i) => `${`  level ${i + 1}`.padEnd(16)} ${spreadText(level, map.vocabSize)}`),
    ]),
  ];
}

function spreadText({ used, entropy, entropyRatio, perplexity }: CodeSpread, codes: number): string {
  return `${used} of ${codes} codes in use, entropy ${formatNumber(entropy / Math.LN2)} bits (${formatNumber(entropyRatio)} of the maximum), perplexity ${formatNumber(perplexity)}`;
}

/** Prints a warning if rFID is estimated from too few images. */
export async function noteFewPictures(
  session: Session,
  { samples, features }: Pick<CodecEvaluation, 'samples' | 'features'>,
): Promise<void> {
  const { frechetBias } = await import('../metrics/frechet.js');
  const bias = features && frechetBias(samples, features.dimension);
  if (bias !== undefined) session.note(bias);
}
