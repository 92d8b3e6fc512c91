import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { pack, type Header } from 'tar-stream';
import { afterEach } from 'vitest';

import type { TesseraeError } from '../../src/errors.js';
import type { Dataset, ImageInput, RawSample, Sample, Split } from '../../src/interfaces/index.js';
import { encodePng } from '../../src/media/image/image.js';
import { noise } from '../media/image/fixtures.js';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A new folder, gone after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tesserae-test-'));
  folders.push(folder);
  return folder;
}

export type Files = Readonly<Record<string, string | Uint8Array>>;

/** Writes files below a new folder, in the order given. */
export function folderOf(files: Files): string {
  const folder = temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

export async function png(seed = 1, width = 6, height = 5): Promise<Uint8Array> {
  return encodePng(noise(width, height, 3, seed));
}

export interface TarFile extends Partial<Header> {
  name: string;
  body: string | Uint8Array;
}

export async function tarOf(files: readonly TarFile[]): Promise<Buffer> {
  const archive = pack();
  // The same bytes at any time of day.
  for (const { body, ...header } of files) archive.entry({ mtime: new Date(0), ...header }, Buffer.from(body));
  archive.finalize();
  const parts: Buffer[] = [];
  for await (const part of archive) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** Big-endian header and bytes. */
export function idxOf(
  shape: readonly number[],
  data: Uint8Array,
  magic: readonly number[] = [0, 0, 8, shape.length],
): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set(magic);
  shape.forEach((extent, i) => header.writeUInt32BE(extent, 4 + 4 * i));
  return Buffer.concat([header, data]);
}

export function memorySamples(count: number, size = 4): Sample[] {
  return Array.from({ length: count }, (_, i) => ({
    key: `s${i}`,
    media: noise(size, size, 3, i + 1),
    captions: [`number ${i}`],
    label: i % 3,
  }));
}

export function describeAll(dataset: Dataset, split: Split): Array<ReturnType<Dataset['describe']>> {
  return Array.from({ length: dataset.size(split) }, (_, i) => dataset.describe(split, i));
}

export function allKeys(dataset: Dataset): string[] {
  return [...describeAll(dataset, 'train'), ...describeAll(dataset, 'test')].map(({ key }) => key).sort();
}

/** True for an error of ours; the built classes are not those of the sources. */
export function isTyped(error: unknown): error is TesseraeError {
  const { code, exitCode } = error as TesseraeError;
  return error instanceof Error && /^E_[A-Z_]+$/.test(code) && Number.isInteger(exitCode);
}

/** The code of the error that must come, checked to be typed and one line long. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!isTyped(error)) throw new Error(`expected a typed error, received ${String(error)}`, { cause: error });
  if (error.message.includes('\n')) throw new Error(`expected one line, received ${error.message}`);
  return error.code;
}

/** What a codec of images sees; by default covered, in color, on white. */
export const inputOf = (width: number, height: number, more: Partial<ImageInput> = {}): ImageInput => ({
  width,
  height,
  channels: 3,
  background: [255, 255, 255],
  resize: 'cover',
  ...more,
});

/** The bytes of a sample's file. */
export function bytesOf({ content }: RawSample): Uint8Array {
  if ('bytes' in content) return content.bytes;
  throw new Error('expected a sample with the bytes of a file');
}
