// Opens models from the bytes of their files.
import { memorySource, openModelFiles, readCard } from '../checkpoint/card.js';
import { AbortedError, IoError, UsageError, messageOf } from '../errors.js';
import { openCodec } from './codec.js';
import { openPrior } from './prior.js';
import type { LoadedCodec, LoadOptions } from './codec.js';
import type { LoadedPrior } from './prior.js';
import type { Media } from '../interfaces/index.js';

/** The files of a model directory by name: `model.json` and all files that it lists. */
export type ModelFiles = Readonly<Record<string, Uint8Array>>;

/**
 * Opens a codec.
 *
 * @param files Every byte is verified. Do not change them while the codec is in use.
 * @throws {UsageError} E_NOT_A_MODEL, E_MODEL_KIND, E_UNKNOWN_MODEL, E_DATA_MEDIUM. @throws {CorruptError} for damaged files.
 */
export async function loadCodec<M extends Media = Media, I = unknown>(
  files: ModelFiles,
  options: LoadOptions<M, I> = {},
): Promise<LoadedCodec<M, I>> {
  return openCodec(openModelFiles(files, { kind: 'codec', where: 'codec' }), options);
}

/**
 * Opens a prior. Its codec, in the folder `codec` of the prior's directory, is a model of its own.
 *
 * @param files Every byte is verified. Do not change them while the prior is in use.
 * @throws {UsageError} E_NOT_A_MODEL, E_MODEL_KIND, E_UNKNOWN_MODEL. @throws {CorruptError} for damaged files.
 */
export async function loadPrior(files: ModelFiles): Promise<LoadedPrior> {
  return openPrior(openModelFiles(files, { kind: 'prior', where: 'prior' }));
}

/**
 * Downloads the files of a model: `model.json`, then those that it lists.
 *
 * @param url     address of the model's directory.
 * @param request options for `fetch`, such as headers or a signal.
 * @throws {UsageError} E_FETCH for an invalid address.
 * @throws {IoError} E_FETCH when a file cannot be downloaded. @throws {AbortedError} E_ABORTED when the signal fires.
 * @throws {CorruptError} E_JSON, E_MODEL_CARD, E_MODEL_VERSION.
 */
export async function fetchModel(url: string | URL, request: RequestInit = {}): Promise<ModelFiles> {
  const directory = directoryOf(url);
  const download = (name: string): Promise<Uint8Array> => downloadFile(new URL(name, directory), request);
  const card = await download('model.json');
  const { files } = readCard(memorySource({ 'model.json': card }, directory.href.slice(0, -1)));
  const others = Object.keys(files).map(async (name) => [name, await download(name)] as const);
  return { 'model.json': card, ...Object.fromEntries(await Promise.all(others)) };
}

/** The address of a directory, relative to the page if there is one. */
function directoryOf(url: string | URL): URL {
  const { location } = globalThis as { location?: { href: string } };
  // Addresses such as data: have no directory.
  if (!URL.canParse(String(url), location?.href) || !URL.canParse('.', new URL(url, location?.href).href))
    throw new UsageError('E_FETCH', `fetchModel(url): expected the address of a model's directory, received "${url}".`);
  const directory = new URL(url, location?.href);
  if (!directory.pathname.endsWith('/')) directory.pathname += '/';
  return new URL('.', directory); // without a query
}

async function downloadFile(url: URL, request: RequestInit): Promise<Uint8Array> {
  const response = await guardDownload(url, request, fetch(url, request));
  if (!response.ok) throw failedDownload(url, `status ${response.status}`);
  return new Uint8Array(await guardDownload(url, request, response.arrayBuffer()));
}

/** Waits for a part of a download. Its errors name the address. */
async function guardDownload<T>(url: URL, { signal }: RequestInit, part: Promise<T>): Promise<T> {
  try {
    return await part;
  } catch (error) {
    if (signal?.aborted) throw new AbortedError('E_ABORTED', `${url.href}: stopped on request.`, { cause: error });
    throw failedDownload(url, messageOf(error), error);
  }
}

function failedDownload(url: URL, reason: string, cause?: unknown): IoError {
  return new IoError('E_FETCH', `${url.href}: the download failed (${reason}). Check the address and the connection.`, {
    cause,
  });
}
