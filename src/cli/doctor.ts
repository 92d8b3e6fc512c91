import { Command } from 'commander';
import { EXIT } from '../errors.js';
import { formatNumber } from '../report/format.js';
import type { Finding } from '../sdk/doctor.js';
import { jsonOption } from './options.js';
import type { Session } from './session.js';

interface Flags {
  repair?: boolean;
  json?: boolean;
}

export function doctorCommand(session: Session): Command {
  return new Command('doctor')
    .description('show engines, versions and speed of this machine')
    .option('--repair', 'restore missing or damaged files of the native library from the npm registry')
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  tesserae doctor\n  tesserae doctor --repair')
    .action((flags: Flags) => examine(session, flags));
}

async function examine(session: Session, { repair }: Flags): Promise<void> {
  if (repair) await repairLibrary(session);
  const { doctor } = await import('../sdk/doctor.js');
  const found = await doctor();
  const { system, engines, speed } = found;
  session.result(found, [
    `tesserae ${found.tesserae}, Node ${found.node}, ${system.platform} ${system.arch} ${system.release}`,
    `cpu          ${system.cpu}, ${system.cores} cores available, ${found.threads} threads per operation`,
    `memory       ${system.memoryGiB} GiB, ${system.freeMemoryGiB} GiB free`,
    `onnxruntime  ${findingText(engines.onnxruntime)}`,
    `tensorflow   ${findingText(engines.tensorflow)}`,
    `reference    ${findingText(engines.reference)}`,
    `images       ${findingText(found.pictures)}`,
    ...(speed
      ? [
          `speed        matmul ${formatNumber(speed.matmulGflops)} GFLOP/s, convolution ${formatNumber(speed.convGflops)} GFLOP/s, memory ${formatNumber(speed.memoryGBps)} GB/s (one thread)`,
        ]
      : []),
    found.ok ? 'Everything works.' : 'Some required parts do not work: see above.',
  ]);
  if (!found.ok) session.exitCode = EXIT.internal;
  else if (repair && !found.native) session.exitCode = EXIT.io;
}

async function repairLibrary(session: Session): Promise<void> {
  const { repairNative } = await import('../sdk/repair-native.js');
  const { folder, restored } = await repairNative((line) => session.note(line));
  session.note(
    restored.length === 0
      ? 'All files of the native library are intact.'
      : `Restored ${restored.join(', ')} in ${folder}.`,
  );
}

function findingText(finding: Finding): string {
  return finding.ok ? [finding.version, finding.remark].filter(Boolean).join(', ') : finding.reason;
}
