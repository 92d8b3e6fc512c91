// Decides which names are files and which are folders, before anything is computed for them.
import { accessSync, constants, statSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { UsageError } from '../errors.js';
import { counted } from '../names.js';
import type { AnyMedium } from '../media/medium.js';
import { createDirectory, PendingFile } from '../files/commit.js';
import { guarded } from '../files/system.js';

/** Extensions that nobody gives a folder on purpose. */
const FILE_EXTENSIONS = new Set(
  '.png .jpg .jpeg .webp .gif .bmp .tif .tiff .avif .heic .svg .pdf .mp4 .html .htm .json .jsonl .csv .txt .md .onnx .safetensors .msgpack .npz .npy .pt .tar .tgz .gz .zip'.split(
    ' ',
  ),
);

/** The extension of a path, in lower case and without the dot. */
export const extensionOf = (path: string): string => extname(path).slice(1).toLowerCase();

/** The extensions of files that a medium writes. */
const writtenBy = ({ files }: AnyMedium): string[] => [files.extension, ...(files.otherExtensions ?? [])];

/** Whether a path is the name of a file of a medium, as the medium writes them. */
export const isFileOf = (medium: AnyMedium, path: string): boolean => writtenBy(medium).includes(extensionOf(path));

/** Whether a path names a file: by what exists there, otherwise by a known extension without a slash after it. */
function namesFile(path: string): boolean {
  return FILE_EXTENSIONS.has(extname(path).toLowerCase()) && !/[\\/]$/.test(path) && !statOf(path)?.isDirectory();
}

/** @throws {UsageError} E_OUTPUT_NAME for the name of a file. */
export function refuseFileName(out: string): void {
  if (namesFile(out))
    throw new UsageError(
      'E_OUTPUT_NAME',
      `--out ${out}: expected the name of a directory, received that of a ${extname(out)} file. Leave the extension out, or end the name with / to mean a directory.`,
    );
}

/** @throws {UsageError} E_OUTPUT_NAME for the name of a file that the medium does not write. */
export function refuseOtherFiles(out: string, medium: AnyMedium): void {
  if (!isFileOf(medium, out) && namesFile(out))
    throw new UsageError(
      'E_OUTPUT_NAME',
      `--out ${out}: expected a ${writtenBy(medium)
        .map((extension) => `.${extension}`)
        .join(', ')} file or a directory, received the name of a ${extname(out)} file.`,
    );
}

/** @throws {UsageError} E_OUTPUT_NAME for one file for several samples that the medium cannot join. */
export function refuseOneFile(out: string, medium: AnyMedium, count: number): void {
  if (isFileOf(medium, out) && count > 1 && !medium.files.join)
    throw new UsageError(
      'E_OUTPUT_NAME',
      `--out ${out}: expected a directory for ${counted(count, medium.noun)}, received the name of one file. Leave the extension out.`,
    );
}

/** @throws {UsageError} E_OPTION for a name without one of the extensions. */
export function expectExtension(out: string, extensions: readonly string[]): void {
  if (!extensions.includes(extname(out).toLowerCase()))
    throw new UsageError(
      'E_OPTION',
      `--out ${out}: expected a name that ends in ${extensions.join(' or ')}, received another.`,
    );
}

/**
 * Checks that something can be created at a path: the part of it that exists must be a writable directory.
 *
 * @throws {UsageError} E_OUTPUT_NOT_DIRECTORY. @throws {IoError} E_IO for a directory that may not be written.
 */
export function expectCreatable(out: string): void {
  let parent = dirname(resolve(out));
  while (!statOf(parent) && parent !== dirname(parent)) parent = dirname(parent);
  if (!statOf(parent)?.isDirectory())
    throw new UsageError(
      'E_OUTPUT_NOT_DIRECTORY',
      `--out ${out}: expected ${parent} to be a directory, found a file. Give another path.`,
    );
  guarded(parent, 'writing', () => accessSync(parent, constants.W_OK));
}

/** Creates the folder of an output file. @throws {IoError} E_IO, E_DISK_FULL. */
export function createParent(out: string): void {
  createDirectory(dirname(resolve(out)));
}

/**
 * Prepares an output before the work for it begins: creates its folder, and tries that the file can be created there.
 *
 * @throws {IoError} E_IO, E_DISK_FULL.
 */
export function prepareFile(out: string): void {
  createParent(out);
  new PendingFile(out).discard();
}

/** As {@link prepareFile}, for a folder of files. */
export function prepareFolder(out: string): void {
  createDirectory(out);
  new PendingFile(join(out, 'probe')).discard();
}

/** Characters of a prompt that become a file name. */
const NAME_LENGTH = 60;

/** Names that Windows keeps for devices. */
const DEVICES = /^(con|prn|aux|nul|com\d|lpt\d)$/;

/**
 * A name for the samples of prompts that nothing has yet: `a-red-bird.png`, `a-red-bird-2.png` and so on.
 *
 * @param count number of samples; several that the medium cannot join get a folder.
 */
export function freeName(prompts: readonly string[], medium: AnyMedium, count: number): string {
  const [first = ''] = prompts;
  const words = first
    .slice(0, 4 * NAME_LENGTH)
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}]+/gu, '-');
  const short = Array.from(words)
    .slice(0, NAME_LENGTH)
    .join('')
    .replace(/^-+|-+$/g, '');
  const name = short === '' || DEVICES.test(short) ? ['generated', short].filter(Boolean).join('-') : short;
  const ending = count > 1 && !medium.files.join ? '' : `.${medium.files.extension}`;
  for (let i = 1; ; i++) {
    const path = `${name}${i === 1 ? '' : `-${i}`}${ending}`;
    if (!statOf(path)) return path;
  }
}

/** The status of a path. A path below a file does not exist, which some systems report as an error. */
function statOf(path: string): ReturnType<typeof statSync> {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
