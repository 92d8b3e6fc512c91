import { Command } from 'commander';
import { addOutputOptions, jsonOption, numberOption, splitOption } from './options.js';
import type { OutputFlags } from './options.js';
import { counted } from '../names.js';
import { expectModel, expectOutputDirectory, expectTokens } from './paths.js';
import { countedProgress } from './progress.js';
import type { Session } from './session.js';

interface Flags extends OutputFlags {
  tokens: string;
  codec?: string;
  split: 'train' | 'test' | 'all';
  limit?: number;
}

const EXAMPLE = `
Example:
  tesserae decode --tokens runs/tokens --out decoded/ --split test --limit 100`;

export function decodeCommand(session: Session): Command {
  const command = new Command('decode')
    .description('decode tokens into images or other media')
    .requiredOption('--tokens <DIR>', 'directory of tokens written by "tesserae tokenize"')
    .option('--codec <DIR>', 'model directory of the codec (default: the codec stored with the tokens)');
  return addOutputOptions(command, 'output directory: a dataset with split folders and metadata.jsonl', {
    resumes: false,
  })
    .addOption(splitOption('all'))
    .addOption(numberOption('--limit <N>', 'use only the first N samples of each split', { min: 1, whole: true }))
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLE)
    .action((flags: Flags) => decode(session, flags));
}

async function decode(session: Session, flags: Flags): Promise<void> {
  expectTokens('--tokens', flags.tokens);
  if (flags.codec !== undefined) expectModel('--codec', flags.codec);
  expectOutputDirectory(flags, { '--tokens': flags.tokens, '--codec': flags.codec }, { resumes: false });
  await session.startEngine();
  const [{ decodeTokens }, { mediumNamed }] = await Promise.all([
    import('../sdk/decode.js'),
    import('../media/registry.js'),
  ]);
  const { onProgress, finish } = countedProgress(session, 'decode', 'samples');
  const result = await decodeTokens({ ...flags, signal: session.signal, onProgress });
  finish();
  session.result({ kind: 'samples', ...result }, [
    `${counted(result.samples, mediumNamed(result.medium).noun)} in ${flags.out}`,
  ]);
}
