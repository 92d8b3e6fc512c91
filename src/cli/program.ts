// Builds the command line from its commands.
import { Command, Option } from 'commander';
import { packageVersion } from '../sdk/version.js';
import { compareCommand } from './compare.js';
import { decodeCommand } from './decode.js';
import { demoCommand } from './demo.js';
import { doctorCommand } from './doctor.js';
import { encodeCommand } from './encode.js';
import { evalCodecCommand } from './eval-codec.js';
import { evalPriorCommand } from './eval-prior.js';
import { exportCommand } from './export.js';
import { generateCommand } from './generate.js';
import { inspectCommand } from './inspect.js';
import { latentsCommand } from './latents.js';
import { numberOption } from './options.js';
import { presetsCommand } from './presets.js';
import { repairCommand } from './repair.js';
import type { GlobalOptions, Session } from './session.js';
import { tokenizeCommand } from './tokenize.js';
import { trainCodecCommand } from './train-codec.js';
import { trainPriorCommand } from './train-prior.js';

const EXAMPLE = `
From images to new images:
  tesserae train codec --data photos/ --out runs/codec
  tesserae tokenize    --data photos/ --codec runs/codec --out runs/tokens
  tesserae train prior --tokens runs/tokens --out runs/prior
  tesserae generate "a red bird" --prior runs/prior --out birds.png -n 16

Exit codes: 0 success, 1 internal error, 2 invalid arguments, 3 unusable input, 4 damaged or mismatched files,
5 disk or memory, 6 output in use, 7 finished with inputs skipped, 8 training diverged, 129, 130 or 143 stopped by a signal.`;

/** Builds the whole command line. Parsing it runs a command in the session. */
export function buildProgram(session: Session): Command {
  const program = new Command('tesserae')
    .description('Train tokenizers of images and other media, and generate new media from text.')
    .version(packageVersion(), '--version')
    .addOption(
      new Option(
        '--engine <NAME>',
        'compute backend: native ONNX Runtime, an installed tfjs-node, or plain JavaScript',
      ).choices(['onnxruntime', 'tensorflow', 'reference']),
    )
    .addOption(
      numberOption('--threads <N>', 'threads per operation (default: all cores)', {
        min: 1,
        max: 1024,
        whole: true,
      }),
    )
    .addOption(
      new Option('--plugin <FILE>', 'ES module that registers media, codecs or priors; may be repeated').argParser(
        (file, before: string[] | undefined) => [...(before ?? []), file],
      ),
    )
    .option('--debug', 'print stack traces of errors')
    .addHelpText('after', EXAMPLE)
    .hook('preAction', (_, action) => session.configure(action.optsWithGlobals<GlobalOptions>(), action.name()));
  const train = new Command('train')
    .description('train a codec or a prior')
    .addCommand(trainCodecCommand(session))
    .addCommand(trainPriorCommand(session));
  const evaluate = new Command('eval')
    .description('measure a codec or a prior on held-out samples')
    .addCommand(evalCodecCommand(session))
    .addCommand(evalPriorCommand(session));
  const commands = [
    demoCommand,
    () => train,
    tokenizeCommand,
    generateCommand,
    encodeCommand,
    decodeCommand,
    () => evaluate,
    compareCommand,
    latentsCommand,
    inspectCommand,
    exportCommand,
    repairCommand,
    presetsCommand,
    doctorCommand,
  ];
  for (const command of commands) program.addCommand(command(session));
  return prepared(program);
}

/** Makes Commander throw errors instead of printing them, so that every error ends in a single line. */
function prepared(command: Command): Command {
  command
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .configureHelp({ showGlobalOptions: true });
  command.commands.forEach((each) => void prepared(each));
  return command;
}
