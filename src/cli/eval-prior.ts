import { Command } from 'commander';
import { formatNumber } from '../report/format.js';
import { jsonOption, numberOption, splitOption } from './options.js';
import { expectPrior, expectTokens } from './paths.js';
import { countedProgress } from './progress.js';
import type { Session } from './session.js';

interface Flags {
  prior: string;
  tokens: string;
  split: 'train' | 'test' | 'all';
  limit?: number;
}

const EXAMPLE = `
Example:
  tesserae eval prior --prior runs/prior --tokens runs/tokens`;

export function evalPriorCommand(session: Session): Command {
  return new Command('prior')
    .description('evaluate a prior on tokens: cross-entropy and accuracy')
    .requiredOption('--prior <DIR>', 'model directory of the prior')
    .requiredOption('--tokens <DIR>', 'tokens of the codec that the prior was trained for')
    .addOption(splitOption('test'))
    .addOption(numberOption('--limit <N>', 'use only the first N samples', { min: 1, whole: true }))
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLE)
    .action((flags: Flags) => evalPrior(session, flags));
}

async function evalPrior(session: Session, flags: Flags): Promise<void> {
  expectPrior('--prior', flags.prior);
  expectTokens('--tokens', flags.tokens);
  await session.startEngine();
  const { evaluatePriorOn } = await import('../sdk/evaluate.js');
  const { onProgress, finish } = countedProgress(session, 'eval prior', 'samples');
  const evaluation = await evaluatePriorOn({ ...flags, signal: session.signal, onProgress });
  finish();
  const { samples, natsPerCode, bitsPerCode, accuracy } = evaluation;
  session.result(evaluation, [
    `samples          ${samples} of split ${flags.split}`,
    `cross-entropy    ${formatNumber(natsPerCode)} nats per code (${formatNumber(bitsPerCode)} bits)`,
    `top-1 accuracy   ${formatNumber(100 * accuracy)} %`,
  ]);
}
