import { Command } from 'commander';
import { addDataOptions, addOutputOptions, addTrainingOptions, jsonOption } from './options.js';
import type { DataFlags, TrainFlags } from './options.js';
import { expectExisting, expectOutputDirectory } from './paths.js';
import type { Session } from './session.js';
import { expectSettings, presetsText } from './settings.js';
import { metricsText, trainingEvents } from './training.js';
import { Skips } from './skips.js';

interface Flags extends TrainFlags, DataFlags {
  data: string;
  skipBad?: boolean;
}

const EXAMPLE = `
Example:
  tesserae train codec --data photos/ --out runs/codec --steps 5000`;

export function trainCodecCommand(session: Session): Command {
  const command = new Command('codec').description('train a codec on pictures: a folder, WebDataset tars or IDX files').requiredOption('--data <PATH>', 'folder of pictures, .tar, or MNIST-style IDX');
  addOutputOptions(command, 'directory of the model');
  addTrainingOptions(command);
  addDataOptions(command).option('--skip-bad', 'leave out pictures that do not decode, and exit 7').addOption(jsonOption());
  return command
    .addHelpText('after', () => presetsText('codec') + EXAMPLE)
    .action((flags: Flags) => trainCodec(session, flags));
}

async function trainCodec(session: Session, flags: Flags): Promise<void> {
  expectExisting('--data', flags.data);
  expectOutputDirectory(flags, { '--data': flags.data });
  await expectSettings('codec', flags);
  const { batch, skipBad, ...options } = flags;
  await session.startEngine();
  const sdk = await import('../sdk/train.js');
  const skips = new Skips(session);
  const events = trainingEvents(session, 'train codec');
  const card = await sdk.trainCodec({ ...options, batchSize: batch, signal: session.signal, onBad: skipBad ? skips.add : undefined, ...events });
  events.finish();
  const { maps: _maps, ...metrics } = card.metrics ?? {};
  session.result({ kind: 'codec', fingerprint: card.fingerprint, out: flags.out, metrics: card.metrics, skipped: skips.count }, [
    `codec ${card.fingerprint.slice(0, 12)} in ${flags.out}, report in ${flags.out}/report.html`,
    `held out: ${metricsText(metrics)}`,
    `next: tesserae tokenize --data ${flags.data} --codec ${flags.out} --out TOKENS`,
  ]);
  skips.conclude();
}
