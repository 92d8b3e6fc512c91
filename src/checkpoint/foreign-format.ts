// Refuses weights in formats that execute code or need their own library.
import { UsageError } from '../errors.js';
import { readHead } from '../files/read.js';
import type { FileSystem } from '../files/system.js';

const FOREIGN_EXTENSIONS = /\.(pt|pth|pkl|pickle|ckpt|bin|h5|hdf5|keras|joblib|npz)$/i;

/**
 * Refuses weights in formats that execute code or need their own library, with the way to convert them.
 *
 * @throws {UsageError} E_MODEL_FORMAT by extension or by the first bytes.
 */
export function refuseForeignFormat(path: string, files?: FileSystem): void {
  const format = foreignFormat(path, files);
  if (format === undefined) return;
  throw new UsageError(
    'E_MODEL_FORMAT',
    `${path}: expected a safetensors file, found ${format}, which is never loaded. ` +
      `Convert it in Python: from safetensors.torch import save_file; save_file(torch.load("${path}", weights_only=True), "model.safetensors").`,
  );
}

function foreignFormat(path: string, files?: FileSystem): string | undefined {
  const extension = FOREIGN_EXTENSIONS.exec(path)?.[0];
  if (extension !== undefined) return `a ${extension} file`;
  const head = Buffer.from(readHead(path, 9, files));
  if (head.subarray(0, 4).equals(Buffer.from('PK\x03\x04', 'latin1'))) return 'a zip archive (PyTorch or Keras)';
  if (head.subarray(0, 8).equals(Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'))) return 'an HDF5 file';
  // A pickle starts with PROTO 2..5, which could also be a header's length; but then "{" follows at byte 8.
  if (head[0] === 0x80 && head[1]! >= 2 && head[1]! <= 5 && head[8] !== 0x7b) return 'a Python pickle';
  return undefined;
}
