import { Command } from 'commander';
import { EXIT } from '../errors.js';
import { formatNumber } from '../report/format.js';
import type { Finding } from '../sdk/doctor.js';
import { jsonOption } from './options.js';
import type { Session } from './session.js';

export function doctorCommand(session: Session): Command {
  return new Command('doctor')
    .description('engines, versions and speed of this machine')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  tesserae doctor')
    .action(() => examine(session));
}

async function examine(session: Session): Promise<void> {
  const { doctor } = await import('../sdk/doctor.js');
  const found = await doctor();
  const { system, engines, speed } = found;
  session.result(found, [
    `tesserae ${found.tesserae}, Node ${found.node}, ${system.platform} ${system.arch} ${system.release}`,
    `cpu          ${system.cpu}, ${system.cores} cores for this process, ${found.threads} threads an operation`,
    `memory       ${system.memoryGiB} GiB, ${system.freeMemoryGiB} GiB free`,
    `onnxruntime  ${findingText(engines.onnxruntime)}`,
    `tensorflow   ${findingText(engines.tensorflow)}`,
    `reference    ${findingText(engines.reference)}`,
    `pictures     ${findingText(found.pictures)}`,
    ...(speed ? [`speed        matmul ${formatNumber(speed.matmulGflops)} GFLOP/s, convolution ${formatNumber(speed.convGflops)} GFLOP/s, memory ${formatNumber(speed.memoryGBps)} GB/s (one thread)`] : []),
    found.ok ? 'All that a job needs works.' : 'Something that a job needs does not work: see above.',
  ]);
  if (!found.ok) session.exitCode = EXIT.internal;
}

function findingText(finding: Finding): string {
  return finding.ok ? [finding.version, finding.remark].filter(Boolean).join(', ') : finding.reason;
}
