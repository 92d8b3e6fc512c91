// TensorFlow under Node.js, where one of its packages is installed.
import { UsageError, messageOf } from '../errors.js';
import { loadOptional } from '../optional.js';

let tensorflow: Promise<void> | undefined;

/** Loads TensorFlow once; a failure may be tried again. */
export function loadInstalledTensorflow(): Promise<void> {
  tensorflow ??= importTensorflow();
  tensorflow.catch(() => (tensorflow = undefined));
  return tensorflow;
}

async function importTensorflow(): Promise<void> {
  await restoreRemovedUtil();
  try {
    await loadOptional('@tensorflow/tfjs-node-gpu');
  } catch (gpuError) {
    try {
      await loadOptional('@tensorflow/tfjs-node');
    } catch (error) {
      throw new UsageError('E_OPTIONAL', `engine tensorflow: ${messageOf(gpuError)} ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
}

/** tfjs-node calls util.isNullOrUndefined, which Node 23 removed. */
async function restoreRemovedUtil(): Promise<void> {
  const util = (await import('node:util')).default as Record<string, unknown>;
  util.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
}
