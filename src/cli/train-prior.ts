import { Command, Option } from 'commander';
import { shortFingerprint } from '../fingerprint.js';
import { addOutputOptions, addTrainingOptions, jsonOption } from './options.js';
import type { TrainFlags } from './options.js';
import { expectFile, expectModel, expectOutputDirectory, expectTokens } from './paths.js';
import type { Session } from './session.js';
import { expectSettings, presetsText } from './settings.js';
import { endOf, heldOutLines, trainingEvents } from './training.js';

interface Flags extends TrainFlags {
  tokens: string;
  conditioning?: 'none' | 'label' | 'text';
  tokenizer?: string;
  tooLong?: 'cut' | 'refuse';
}

const EXAMPLE = `
Example:
  tesserae train prior --tokens runs/tokens --out runs/prior --steps 6000`;

export function trainPriorCommand(session: Session): Command {
  const command = new Command('prior')
    .description('train a prior on tokens')
    .requiredOption('--tokens <DIR>', 'directory of tokens written by "tesserae tokenize"');
  addOutputOptions(command, 'output directory of the model');
  addTrainingOptions(command);
  return command
    .addOption(
      new Option(
        '--conditioning <KIND>',
        'conditioning (default: captions if they carry more than the classes, otherwise classes, otherwise none)',
      ).choices(['none', 'label', 'text']),
    )
    .option('--tokenizer <FILE>', 'tokenizer.json for the captions (default: train one on the captions)')
    .addOption(
      new Option(
        '--too-long <WHAT>',
        'if a caption is longer than the prior reads: truncate it, or fail (default: cut)',
      ).choices(['cut', 'refuse']),
    )
    .addOption(jsonOption())
    .addHelpText('after', () => presetsText('prior') + EXAMPLE)
    .action((flags: Flags) => trainPrior(session, flags));
}

async function trainPrior(session: Session, flags: Flags): Promise<void> {
  expectTokens('--tokens', flags.tokens);
  if (flags.tokenizer !== undefined) expectFile('--tokenizer', flags.tokenizer);
  if (flags.from !== undefined) expectModel('--from', flags.from);
  expectOutputDirectory(flags, { '--tokens': flags.tokens, '--from': flags.from });
  await expectSettings('prior', flags);
  const { batch, ...options } = flags;
  await session.startEngine();
  const sdk = await import('../sdk/train.js');
  const { finish, ...events } = trainingEvents(session, 'train prior');
  const card = await sdk.trainPrior({ ...options, batchSize: batch, signal: session.signal, ...events });
  finish();
  session.result(
    {
      kind: 'prior',
      fingerprint: card.fingerprint,
      conditioning: card.conditioning,
      out: flags.out,
      metrics: card.metrics,
      ...endOf(card),
    },
    [
      `prior ${shortFingerprint(card.fingerprint)} in ${flags.out}, report in ${flags.out}/report.html`,
      ...heldOutLines(card.metrics),
      `next: tesserae generate ${card.conditioning === 'none' ? '' : '"a prompt" '}--prior ${flags.out} --out generated/ -n 16`,
    ],
  );
}
