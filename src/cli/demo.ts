import { Command } from 'commander';
import { formatDuration } from '../report/format.js';
import type { Progress } from '../report/progress.js';
import { jsonOption, numberOption, seedOption } from './options.js';
import { expectOutputDirectory } from './paths.js';
import type { Session } from './session.js';
import { metricsText, shownOf } from './training.js';

interface Flags {
  out: string;
  force?: boolean;
  seed: number;
  count?: number;
  codecSteps?: number;
  priorSteps?: number;
  prompts?: number;
}

const EXAMPLE = `
Example:
  tesserae demo --out demo-out`;

export function demoCommand(session: Session): Command {
  return new Command('demo')
    .description('end-to-end demo on synthetic shapes: train, tokenize, generate and check')
    .option('--out <DIR>', 'output directory', 'demo-out')
    .option('--force', 'overwrite existing output')
    .addOption(seedOption())
    .addOption(numberOption('--count <N>', 'number of images in the dataset', { min: 100, whole: true }))
    .addOption(numberOption('--codec-steps <N>', 'training steps of the codec', { min: 1, whole: true }))
    .addOption(numberOption('--prior-steps <N>', 'training steps of the prior', { min: 1, whole: true }))
    .addOption(numberOption('--prompts <N>', 'number of held-out prompts to generate', { min: 1, whole: true }))
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLE)
    .action((flags: Flags) => runDemo(session, flags));
}

async function runDemo(session: Session, flags: Flags): Promise<void> {
  expectOutputDirectory(flags, {}, { resumes: false });
  await session.startEngine();
  const { demo } = await import('../sdk/demo.js');
  let shown: { stage: string; progress: Progress } | undefined;
  const onProgress = (stage: string, done: number, total: number, values: Record<string, number> = {}): void => {
    if (shown?.stage !== stage) {
      shown?.progress.finish();
      shown = { stage, progress: session.progress({ label: stage, total, unit: UNITS[stage] ?? 'images' }) };
    }
    shown.progress.update(done, shownOf(values));
  };
  const result = await demo({ ...flags, signal: session.signal, onProgress });
  shown?.progress.finish();
  const { codec, prior, prompts, obeyed, seconds, picture, report } = result;
  const times = Object.entries(seconds);
  session.result({ kind: 'demo', ...result }, [
    '',
    `codec, held out   ${metricsText(codec)}`,
    `prior, held out   ${metricsText(prior)}`,
    `prompts           ${obeyed} of ${prompts} held-out prompts followed (${((100 * obeyed) / prompts).toFixed(1)} %)`,
    `time              ${times.map(([stage, value]) => `${stage} ${formatDuration(value)}`).join(', ')}; total ${formatDuration(times.reduce((sum, [, value]) => sum + value, 0))}`,
    `image             ${picture}`,
    `report            ${report}`,
  ]);
}

const UNITS: Record<string, string> = { 'train codec': 'steps', 'train prior': 'steps', tokenize: 'samples' };
