import { Command } from 'commander';
import { UsageError } from '../errors.js';
import { addOutputOptions, jsonOption, numberOption, splitOption } from './options.js';
import type { OutputFlags } from './options.js';
import { counted } from '../names.js';
import { expectFile, expectMediaOutput, expectModel, expectOutputDirectory, expectTokens } from './paths.js';
import { countedProgress } from './progress.js';
import type { Session } from './session.js';

interface Flags extends OutputFlags {
  tokens?: string;
  codec?: string;
  split: 'train' | 'test' | 'all';
  limit?: number;
}

const EXAMPLE = `
Examples:
  tesserae decode tokens.msgpack --codec runs/codec --out picture.png
  tesserae decode --tokens runs/tokens --out decoded/ --split test --limit 100`;

export function decodeCommand(session: Session): Command {
  const command = new Command('decode')
    .description('decode tokens into images or other media')
    .argument('[file]', 'file of tokens written by "tesserae encode"; requires --codec')
    .option('--tokens <DIR>', 'directory of tokens written by "tesserae tokenize", in place of a file')
    .option('--codec <DIR>', 'model directory of the codec (default: the codec stored with a directory of tokens)');
  return addOutputOptions(
    command,
    'output: for --tokens, a directory that becomes a dataset with split folders and metadata.jsonl; for a file, a .png, .jpg or .webp, or a directory for several samples',
    { resumes: false },
  )
    .addOption(splitOption('all'))
    .addOption(numberOption('--limit <N>', 'use only the first N samples of each split', { min: 1, whole: true }))
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLE)
    .action((file: string | undefined, flags: Flags) => {
      if (file === undefined) return decodeDirectory(session, flags);
      for (const name of ['tokens', 'split', 'limit'] as const)
        if (command.getOptionValueSource(name) === 'cli')
          throw new UsageError(
            'E_OPTION',
            `--${name}: cannot be combined with a file of tokens. Leave one of them out.`,
          );
      return decodeOne(session, file, flags);
    });
}

/** Decodes a file of tokens. */
async function decodeOne(session: Session, file: string, { codec, out, force }: Flags): Promise<void> {
  expectFile('FILE', file);
  if (codec === undefined)
    throw new UsageError(
      'E_NO_CODEC',
      `${file}: expected --codec, because a file of tokens does not contain its codec.`,
    );
  expectModel('--codec', codec);
  const [{ decodeFile }, { mediumOf }, { readTokenFile }] = await Promise.all([
    import('../sdk/token-file.js'),
    import('../sdk/models.js'),
    import('../shards/token-file.js'),
  ]);
  const medium = mediumOf(codec);
  expectMediaOutput({ out, force }, { FILE: file, '--codec': codec }, medium, readTokenFile(file).samples.length);
  await session.startEngine();
  const { onProgress, finish } = countedProgress(session, 'decode', 'samples');
  const result = await decodeFile({ tokens: file, codec, out, signal: session.signal, onProgress });
  finish();
  session.result({ kind: 'samples', ...result }, [`${counted(result.samples, medium.noun)} in ${out}`]);
}

/** Decodes a directory of tokens into a dataset. */
async function decodeDirectory(session: Session, flags: Flags): Promise<void> {
  const { tokens } = flags;
  if (tokens === undefined)
    throw new UsageError('E_OPTION', 'decode: expected a file of tokens or --tokens DIR, received neither.');
  expectTokens('--tokens', tokens);
  if (flags.codec !== undefined) expectModel('--codec', flags.codec);
  expectOutputDirectory(flags, { '--tokens': tokens, '--codec': flags.codec }, { resumes: false });
  await session.startEngine();
  const [{ decodeTokens }, { mediumNamed }] = await Promise.all([
    import('../sdk/decode.js'),
    import('../media/registry.js'),
  ]);
  const { onProgress, finish } = countedProgress(session, 'decode', 'samples');
  const result = await decodeTokens({ ...flags, tokens, signal: session.signal, onProgress });
  finish();
  session.result({ kind: 'samples', ...result }, [
    `${counted(result.samples, mediumNamed(result.medium).noun)} in ${flags.out}`,
  ]);
}
