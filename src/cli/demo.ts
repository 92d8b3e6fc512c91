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
    .description('the whole story on drawn shapes: train, tokenize, train, generate, check')
    .option('--out <DIR>', 'directory of everything it makes', 'demo-out')
    .option('--force', 'write over what is there')
    .addOption(seedOption())
    .addOption(numberOption('--count <N>', 'pictures drawn', { min: 100, whole: true }))
    .addOption(numberOption('--codec-steps <N>', 'steps of the codec, for a quick look', { min: 1, whole: true }))
    .addOption(numberOption('--prior-steps <N>', 'steps of the prior, for a quick look', { min: 1, whole: true }))
    .addOption(numberOption('--prompts <N>', 'prompts drawn, of those held out', { min: 1, whole: true }))
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
      shown = { stage, progress: session.progress({ label: stage, total, unit: UNITS[stage] ?? 'pictures' }) };
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
    `prompts           ${obeyed} of ${prompts} held-out prompts obeyed (${((100 * obeyed) / prompts).toFixed(1)} %)`,
    `time              ${times.map(([stage, value]) => `${stage} ${formatDuration(value)}`).join(', ')}; ${formatDuration(times.reduce((sum, [, value]) => sum + value, 0))} in all`,
    `picture           ${picture}`,
    `report            ${report}`,
  ]);
}

const UNITS: Record<string, string> = { 'train codec': 'steps', 'train prior': 'steps', tokenize: 'samples' };
