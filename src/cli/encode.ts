import { Command } from 'commander';
import { axesText } from '../interfaces/tokens.js';
import { counted } from '../names.js';
import { formatCount } from '../report/format.js';
import { expectExtension, prepareFile } from '../sdk/output-names.js';
import { addOutputOptions, jsonOption } from './options.js';
import { expectFile, expectModel, expectOutputFile } from './paths.js';
import { countedProgress } from './progress.js';
import type { Session } from './session.js';

interface Flags {
  codec: string;
  out: string;
  force?: boolean;
}

const EXAMPLE = `
Examples:
  tesserae encode picture.png --codec runs/codec --out tokens.msgpack
  tesserae decode tokens.msgpack --codec runs/codec --out picture.png`;

export function encodeCommand(session: Session): Command {
  const command = new Command('encode')
    .description('encode single files into a file of tokens; for a dataset, use tokenize')
    .argument('<files...>', 'images or other samples')
    .requiredOption('--codec <DIR>', 'model directory of the codec');
  return addOutputOptions(command, 'output file of tokens: .msgpack', { resumes: false })
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLE)
    .action((files: string[], flags: Flags) => encode(session, files, flags));
}

async function encode(session: Session, files: string[], flags: Flags): Promise<void> {
  for (const file of files) expectFile('FILE', file);
  const { codec, out } = flags;
  expectModel('--codec', codec);
  const [sdk, { mediumNamed }, { refusePartName }] = await Promise.all([
    import('../sdk/token-file.js'),
    import('../media/registry.js'),
    import('../shards/token-file.js'),
  ]);
  expectExtension(out, [sdk.TOKENS_EXTENSION]);
  refusePartName(out);
  expectOutputFile(flags, Object.fromEntries([['--codec', codec], ...files.map((file) => [file, file])]));
  prepareFile(out);
  await session.startEngine();
  const { onProgress, finish } = countedProgress(session, 'encode', 'samples');
  const result = await sdk.encodeFiles({ files, codec, out, signal: session.signal, onProgress });
  finish();
  const { samples, medium, maps, bytes } = result;
  session.result({ kind: 'token-file', ...result }, [
    `${counted(samples, mediumNamed(medium).noun)} in ${out}: ${maps.map((map) => `${map.name} ${axesText(map)}`).join(', ')}, ${formatCount(bytes)} bytes`,
  ]);
}
