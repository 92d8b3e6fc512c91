import { join } from 'node:path';
import { Command } from 'commander';
import { shortFingerprint } from '../fingerprint.js';
import { addDataOptions, addOutputOptions, dataOption, jsonOption, numberOption, seedOption } from './options.js';
import type { DataFlags, OutputFlags } from './options.js';
import { dataSources, expectData, expectModel, expectOutputDirectory } from './paths.js';
import { countedProgress } from './progress.js';
import type { Session } from './session.js';
import { dataEvents, Skips } from './skips.js';

interface Flags extends OutputFlags, DataFlags {
  data: string[];
  codec: string;
  workers?: number;
  variants: number;
  flip?: boolean;
  crop?: number;
  seed: number;
  skipBad?: boolean;
}

const EXAMPLE = `
Queued files and their decoded values use at most 192 MiB of memory; a larger sample is encoded on its own.

Examples:
  tesserae tokenize --data photos/ --codec runs/codec --out runs/tokens
  tesserae tokenize --data icons/ --codec runs/codec --out runs/tokens --variants 8 --flip --crop 2`;

export function tokenizeCommand(session: Session): Command {
  const command = new Command('tokenize')
    .description('encode images or other media into token shards with a trained codec')
    .addOption(dataOption())
    .requiredOption('--codec <DIR>', 'model directory of the codec');
  addOutputOptions(command, 'output directory of the shards');
  command.addOption(
    numberOption(
      '--workers <N>',
      'threads that decode and encode in parallel (default: one per core, at most 8; limited to 4 per core); the output does not depend on it',
      { min: 0, max: 256, whole: true },
    ),
  );
  command
    .addOption(
      numberOption(
        '--variants <N>',
        'augmented variants per training sample, including the original; requires --flip or --crop',
        { min: 1, max: 1000, whole: true },
      ).default(1),
    )
    .option('--flip', 'mirror every second variant; avoid it where left and right matter, as in text')
    .addOption(
      numberOption(
        '--crop <P>',
        'shift variants by up to P positions (pixels) in each direction, at the codec resolution',
        {
          min: 1,
          max: 1024,
          whole: true,
        },
      ),
    )
    .addOption(seedOption());
  command.option(
    '--skip-bad',
    'skip files and samples that cannot be used and list them in rejects.jsonl; exit with code 7',
  );
  return addDataOptions(command)
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLE)
    .action((flags: Flags) => tokenize(session, flags));
}

async function tokenize(session: Session, flags: Flags): Promise<void> {
  expectData(flags.data);
  expectModel('--codec', flags.codec);
  expectOutputDirectory(flags, { ...dataSources(flags.data), '--codec': flags.codec });
  await session.startEngine();
  const sdk = await import('../sdk/tokenize.js');
  const skips = new Skips(session);
  const { onProgress, finish } = countedProgress(session, 'tokenize', 'samples', flags.resume);
  const { samples, rejected, manifest } = await sdk.tokenize({
    ...flags,
    signal: session.signal,
    onProgress,
    onReject: skips.add,
    ...dataEvents(session),
  });
  finish();
  session.result(
    {
      kind: 'tokens',
      fingerprint: manifest.fingerprint,
      out: flags.out,
      samples,
      rejected,
      parts: manifest.parts.length,
    },
    [
      `tokens ${shortFingerprint(manifest.fingerprint)} in ${flags.out}: ${samples.train} training and ${samples.test} held-out samples, ${manifest.parts.length} parts`,
      `next: tesserae train prior --tokens ${flags.out} --out PRIOR`,
    ],
  );
  skips.conclude(rejected, join(flags.out, 'rejects.jsonl'));
}
