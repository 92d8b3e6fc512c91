import { Command } from 'commander';
import { shortFingerprint } from '../fingerprint.js';
import { addOutputOptions, jsonOption } from './options.js';
import type { OutputFlags } from './options.js';
import { expectModel, expectOutputDirectory } from './paths.js';
import { countedProgress } from './progress.js';
import type { Session } from './session.js';

const EXAMPLE = `
Example:
  tesserae export runs/codec --out codec-onnx/`;

export function exportCommand(session: Session): Command {
  const command = new Command('export')
    .description('export the functions of a codec (encoder, decoder) or a prior (for gpt: prefill, step) to ONNX')
    .argument('<model>', 'model directory');
  return addOutputOptions(command, 'output directory of the ONNX files and card.json', { resumes: false })
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLE)
    .action((model: string, flags: OutputFlags) => exportModel(session, model, flags));
}

async function exportModel(session: Session, model: string, flags: OutputFlags): Promise<void> {
  expectModel('MODEL', model);
  expectOutputDirectory(flags, { MODEL: model }, { resumes: false });
  const sdk = await import('../sdk/export.js');
  const { onProgress, finish } = countedProgress(session, 'export', 'functions');
  const card = await sdk.exportModel({ model, ...flags, onProgress });
  finish();
  session.result({ kind: 'export', out: flags.out, fingerprint: card.fingerprint, functions: card.functions }, [
    ...Object.values(card.functions).map(({ file, bytes }) => `${file}  ${bytes} bytes`),
    `${card.kind} ${shortFingerprint(card.fingerprint)} in ${flags.out}, described by ${flags.out}/card.json`,
  ]);
}
