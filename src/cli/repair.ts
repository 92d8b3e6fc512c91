import { Command } from 'commander';
import { shortFingerprint } from '../fingerprint.js';
import { jsonOption } from './options.js';
import { expectExisting, expectOutputDirectory } from './paths.js';
import type { Session } from './session.js';

const EXAMPLE = `
Example:
  tesserae repair runs/tokens --out runs/tokens-repaired`;

export function repairCommand(session: Session): Command {
  const command = new Command('repair')
    .description('recover the intact records of damaged tokens into a new directory')
    .argument('<tokens>', 'directory of damaged tokens, which is not modified');
  command.requiredOption('--out <DIR>', 'output directory of the repaired tokens');
  return command
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLE)
    .action((tokens: string, flags: { out: string }) => repairTokens(session, tokens, flags.out));
}

async function repairTokens(session: Session, tokens: string, out: string): Promise<void> {
  expectExisting('TOKENS', tokens);
  expectOutputDirectory({ out }, { TOKENS: tokens }, { resumes: false });
  const { repair } = await import('../shards/repair.js');
  const { parts, recovered, manifest } = await repair(tokens, out);
  const { carriedCodec, carryCodec } = await import('../sdk/models.js');
  const codec = carriedCodec(tokens);
  if (codec) carryCodec(out, codec);
  session.result({ kind: 'tokens', fingerprint: manifest.fingerprint, out, recovered, parts }, [
    ...parts.flatMap(({ file, recovered, expected, damage }) =>
      damage.length > 0
        ? [
            `${file}: ${recovered}${expected === undefined ? '' : ` of ${expected}`} records recovered`,
            ...damage.map((line) => `  ${line}`),
          ]
        : [],
    ),
    `tokens ${shortFingerprint(manifest.fingerprint)} in ${out}: ${recovered.train} training and ${recovered.test} held-out samples`,
  ]);
}
