// The commands, put together.
import { Command, Option } from 'commander';
import { packageVersion } from '../sdk/version.js';
import { compareCommand } from './compare.js';
import { decodeCommand } from './decode.js';
import { demoCommand } from './demo.js';
import { doctorCommand } from './doctor.js';
import { evalCodecCommand } from './eval-codec.js';
import { evalPriorCommand } from './eval-prior.js';
import { exportCommand } from './export.js';
import { generateCommand } from './generate.js';
import { inspectCommand } from './inspect.js';
import { latentsCommand } from './latents.js';
import { numberOption } from './options.js';
import { repairCommand } from './repair.js';
import type { GlobalOptions, Session } from './session.js';
import { tokenizeCommand } from './tokenize.js';
import { trainCodecCommand } from './train-codec.js';
import { trainPriorCommand } from './train-prior.js';

const EXAMPLE = `
From pictures to new pictures:
  tesserae train codec --data photos/ --out runs/codec
  tesserae tokenize    --data photos/ --codec runs/codec --out runs/tokens
  tesserae train prior --tokens runs/tokens --out runs/prior
  tesserae generate "a red bird" --prior runs/prior --out birds.png -n 16

Exit codes: 0 done, 2 wrong arguments, 3 unusable input, 4 damaged or mismatched files, 5 disk, 6 output in use,
7 done with inputs skipped, 8 training diverged, 129, 130 and 143 stopped by a signal, 1 a bug.`;

/** The whole command line; parsing it runs a command in the session. */
export function buildProgram(session: Session): Command {
  const program = new Command('tesserae')
    .description('Pictures to discrete tokens, priors on the tokens, new pictures from text prompts.')
    .version(packageVersion(), '--version')
    .addOption(
      new Option(
        '--engine <NAME>',
        'what computes: native ONNX Runtime, an installed tfjs-node, or plain JavaScript',
      ).choices(['onnxruntime', 'tensorflow', 'reference']),
    )
    .addOption(
      numberOption('--threads <N>', 'threads of an operation (default: the cores there are)', {
        min: 1,
        max: 1024,
        whole: true,
      }),
    )
    .option('--debug', 'print the stack of an error')
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
    decodeCommand,
    () => evaluate,
    compareCommand,
    latentsCommand,
    inspectCommand,
    exportCommand,
    repairCommand,
    doctorCommand,
  ];
  for (const command of commands) program.addCommand(command(session));
  return prepared(program);
}

/** Errors are thrown, not printed, so that each ends in one line of ours. */
function prepared(command: Command): Command {
  command
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .configureHelp({ showGlobalOptions: true });
  command.commands.forEach((each) => void prepared(each as Command));
  return command;
}
