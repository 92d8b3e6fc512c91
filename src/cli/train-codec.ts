import { Command, Option } from 'commander';
import { shortFingerprint } from '../fingerprint.js';
import { FEATURE_SCALINGS } from '../features/scaling.js';
import type { FeatureScaling } from '../features/scaling.js';
import { addDataOptions, addOutputOptions, dataOption, addTrainingOptions, jsonOption } from './options.js';
import type { DataFlags, TrainFlags } from './options.js';
import { dataSources, expectData, expectFile, expectModel, expectOutputDirectory } from './paths.js';
import type { Session } from './session.js';
import { expectSettings, presetsText } from './settings.js';
import { endOf, heldOutLines, trainingEvents } from './training.js';
import { dataEvents, Skips } from './skips.js';

interface Flags extends TrainFlags, DataFlags {
  data: string[];
  features?: string;
  featureScaling?: FeatureScaling;
  skipBad?: boolean;
}

const EXAMPLE = `
Example:
  tesserae train codec --data photos/ --out runs/codec --steps 5000`;

export function trainCodecCommand(session: Session): Command {
  const command = new Command('codec')
    .description('train a codec on images or other media: a folder, WebDataset archives or IDX files')
    .addOption(dataOption());
  addOutputOptions(command, 'output directory of the model');
  addTrainingOptions(command);
  command
    .option('--features <FILE>', 'ONNX network [B, 3, H, W] -> feature maps: adds a perceptual loss in its features')
    .addOption(
      new Option(
        '--feature-scaling <NAME>',
        'pixel scaling that the network expects (default: from the preset, otherwise imagenet)',
      ).choices(FEATURE_SCALINGS),
    );
  addDataOptions(command)
    .option('--skip-bad', 'skip files and samples that cannot be used; exit with code 7')
    .addOption(jsonOption());
  return command
    .addHelpText('after', () => presetsText('codec') + EXAMPLE)
    .action((flags: Flags) => trainCodec(session, flags));
}

async function trainCodec(session: Session, flags: Flags): Promise<void> {
  expectData(flags.data);
  if (flags.features !== undefined) expectFile('--features', flags.features);
  if (flags.from !== undefined) expectModel('--from', flags.from);
  expectOutputDirectory(flags, { ...dataSources(flags.data), '--features': flags.features, '--from': flags.from });
  await expectSettings('codec', flags);
  const { batch, ...options } = flags;
  await session.startEngine();
  const sdk = await import('../sdk/train.js');
  const skips = new Skips(session);
  const { finish, ...events } = trainingEvents(session, 'train codec');
  const card = await sdk.trainCodec({
    ...options,
    batchSize: batch,
    signal: session.signal,
    onBad: flags.skipBad ? skips.add : undefined,
    ...dataEvents(session, skips),
    ...events,
  });
  finish();
  const { maps: _maps, measures, ...metrics } = card.metrics ?? {};
  session.result(
    {
      kind: 'codec',
      fingerprint: card.fingerprint,
      out: flags.out,
      metrics: card.metrics,
      ...endOf(card),
      skipped: skips.count,
    },
    [
      `codec ${shortFingerprint(card.fingerprint)} in ${flags.out}, report in ${flags.out}/report.html`,
      ...heldOutLines(card.metrics && { ...metrics, ...(measures as object) }),
      card.maps?.length === 0
        ? `next: tesserae latents traverse SAMPLE --codec ${flags.out} --out traversal.png`
        : `next: tesserae tokenize --data ${flags.data.join(' ')} --codec ${flags.out} --out TOKENS`,
    ],
  );
  skips.conclude();
}
