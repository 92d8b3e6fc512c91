import { Command } from 'commander';
import { formatNumber } from '../report/format.js';
import { addDataOptions, jsonOption, splitOption } from './options.js';
import type { DataFlags } from './options.js';
import { expectExisting, expectModel } from './paths.js';
import { countedProgress } from './progress.js';
import type { Session } from './session.js';
import { Skips } from './skips.js';

interface Flags extends DataFlags {
  codec: string;
  data: string;
  split: 'train' | 'test' | 'all';
  skipBad?: boolean;
}

const EXAMPLE = `
Example:
  tesserae eval codec --codec runs/codec --data photos/ --json`;

export function evalCodecCommand(session: Session): Command {
  const command = new Command('codec')
    .description('reconstruct a split: error and codebook use')
    .requiredOption('--codec <DIR>', 'model directory of the codec')
    .requiredOption('--data <PATH>', 'folder of pictures, .tar, or MNIST-style IDX')
    .addOption(splitOption(['train', 'test', 'all'], 'test'))
    .option('--skip-bad', 'leave out pictures that do not decode, and exit 7');
  return addDataOptions(command)
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLE)
    .action((flags: Flags) => evalCodec(session, flags));
}

async function evalCodec(session: Session, flags: Flags): Promise<void> {
  expectModel('--codec', flags.codec);
  expectExisting('--data', flags.data);
  await session.startEngine();
  const { evaluateCodecOn } = await import('../sdk/evaluate.js');
  const skips = new Skips(session);
  const { onProgress, finish } = countedProgress(session, 'eval codec', 'pictures');
  const { skipBad, ...options } = flags;
  const { counts: _counts, examples: _examples, ...evaluation } = await evaluateCodecOn({ ...options, signal: session.signal, onProgress, onBad: skipBad ? skips.add : undefined });
  finish();
  const { samples, nmse, psnr, ssim, bitsPerPixel, empiricalBitsPerPixel, maps } = evaluation;
  session.result(evaluation, [
    `samples          ${samples} of split ${flags.split}`,
    `NMSE             ${formatNumber(nmse)}`,
    `PSNR             ${formatNumber(psnr)} dB`,
    `SSIM             ${formatNumber(ssim)}`,
    `bits a pixel     ${formatNumber(bitsPerPixel)}, by the codes' frequencies ${formatNumber(empiricalBitsPerPixel)}`,
    ...maps.map((map) => `${map.name.padEnd(16)} ${map.used} of ${map.vocabSize} codes in use, entropy ${formatNumber(map.entropyRatio)} of the most, perplexity ${formatNumber(map.perplexity)}`),
  ]);
  skips.conclude();
}
