// Encodes files into one file of tokens and decodes them again, without a dataset.
import { basename, dirname, extname, join } from 'node:path';
import { expectOptions, shown } from '../arguments.js';
import { decodeSample } from '../data/decode.js';
import { AbortedError, UsageError } from '../errors.js';
import { createDirectory, writeFileAtomic } from '../files/commit.js';
import { readFile } from '../files/read.js';
import { sha256 } from '../hash.js';
import type { TokenMapSpec, TokenSample } from '../interfaces/index.js';
import { canonicalJson } from '../json.js';
import { counted } from '../names.js';
import { fullMedium } from '../media/node.js';
import { readTokenFile, refusePartName, writeTokenFile } from '../shards/token-file.js';
import { safeKey } from './decode.js';
import { createParent, expectExtension, extensionOf, isFileOf, refuseOtherFiles } from './output-names.js';
import { expectModelSource, withCodec } from './sources.js';
import type { CodecSource } from './sources.js';

/** Extension of files of tokens. */
export const TOKENS_EXTENSION = '.msgpack';

interface FileJob {
  codec: CodecSource;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

export interface EncodeFilesOptions extends FileJob {
  /** Paths of images or other samples. Their names, without the extension, must differ. */
  files: readonly string[];
  /** File of the tokens; the name ends in .msgpack. An existing file is replaced. */
  out: string;
}

export interface EncodedFiles {
  out: string;
  samples: number;
  /** Name of the medium. */
  medium: string;
  /** Fingerprint of the codec. */
  codec: string;
  /** The maps of each sample. */
  maps: TokenMapSpec[];
  bytes: number;
}

export interface DecodeFileOptions extends FileJob {
  /** File of tokens that `encodeFiles` wrote. */
  tokens: string;
  /** A file of the medium for one sample, or a folder for `<key>.png` of each. Existing files are replaced. */
  out: string;
}

export interface DecodedFile {
  out: string;
  /** Paths of the files written. */
  files: string[];
  samples: number;
  /** Name of the medium. */
  medium: string;
  /** Fingerprint of the codec. */
  codec: string;
}

/**
 * Encodes files into one file of tokens. Each is encoded by itself, so its tokens do not depend on the others.
 *
 * @throws {UsageError} E_OPTIONS, E_OPTION, E_OUTPUT_NAME, E_NOT_FOUND, E_NO_CODES, E_DUPLICATE_KEY for two files of one name.
 * @throws {InputError} for a file that cannot be decoded. @throws {AbortedError} E_ABORTED; nothing is written then. @throws {IoError}.
 */
export async function encodeFiles(options: EncodeFilesOptions): Promise<EncodedFiles> {
  expectOptions('encodeFiles', options, { paths: ['out'] });
  expectModelSource('encodeFiles: codec', options.codec, 'codec');
  const { files, out } = options;
  if (!Array.isArray(files) || files.length === 0 || files.some((file) => typeof file !== 'string' || file === ''))
    throw new UsageError('E_OPTIONS', `encodeFiles: files: expected paths, received ${shown(files)}.`);
  const keys = keysOf(files);
  expectExtension(out, [TOKENS_EXTENSION]);
  refusePartName(out);
  return withCodec(options.codec, {}, async (codec) => {
    const medium = fullMedium(codec.kind);
    const { name, fingerprint, card, input } = codec;
    if (codec.maps().length === 0)
      throw new UsageError(
        'E_NO_CODES',
        `encodeFiles: expected a codec with codes, received ${name}, whose latents are continuous. Use one with a quantizer.`,
      );
    const samples: TokenSample[] = [];
    const hashes: string[] = [];
    for (const [i, source] of files.entries()) {
      stopIfAborted(options, 'encode', i, files.length);
      const bytes = readFile(source);
      const raw = { key: keys[i]!, content: { bytes }, source, captions: [] };
      const [tokens] = await codec.encodeFitted([await decodeSample(raw, medium, input)]);
      samples.push({ key: keys[i]!, tokens: tokens!, captions: [] });
      hashes.push(sha256(bytes));
      options.onProgress?.(i + 1, files.length);
    }
    const own = codec.maps();
    const maps = medium.keepsExtent(input) ? own.map((map) => ({ ...map, grid: map.grid.map(() => -1) })) : own;
    createParent(out);
    const size = writeTokenFile(
      out,
      {
        codec: { fingerprint, name, config: card.config },
        maps,
        source: files.length === 1 ? basename(files[0]!) : counted(files.length, { one: 'file', many: 'files' }),
        dataset: sha256(canonicalJson(keys.map((key, i) => ({ key, sha256: hashes[i]! })))),
      },
      samples,
    );
    return { out, samples: samples.length, medium: codec.kind, codec: fingerprint, maps, bytes: size };
  });
}

/**
 * Decodes a file of tokens into a file of the medium, or into a folder if there are several samples.
 *
 * @throws {UsageError} E_OPTIONS, E_OUTPUT_NAME, E_NOT_FOUND, E_NOT_TOKENS. @throws {CorruptError} E_CODEC_MISMATCH for another codec,
 *   E_SAMPLE_KEY, and those of a damaged file. @throws {AbortedError}, {IoError}.
 */
export async function decodeFile(options: DecodeFileOptions): Promise<DecodedFile> {
  expectOptions('decodeFile', options, { paths: ['tokens', 'out'] });
  expectModelSource('decodeFile: codec', options.codec, 'codec');
  const { tokens, out } = options;
  return withCodec(options.codec, {}, async (codec) => {
    const medium = fullMedium(codec.kind);
    const { samples } = readTokenFile(tokens, { codec: codec.fingerprint });
    refuseOtherFiles(out, medium);
    const isFile = isFileOf(medium, out);
    if (isFile && samples.length > 1)
      throw new UsageError(
        'E_OUTPUT_NAME',
        `--out ${out}: expected a directory for the ${counted(samples.length, medium.noun)} of ${tokens}, received the name of one file. Leave the extension out.`,
      );
    const extension = isFile ? extensionOf(out) : medium.files.extension;
    const files = samples.map(({ key }) => (isFile ? out : join(out, `${safeKey(key)}.${extension}`)));
    for (const [i, sample] of samples.entries()) {
      stopIfAborted(options, 'decode', i, samples.length);
      const bytes = await medium.files.encode(await codec.decode(sample.tokens), extension);
      createDirectory(dirname(files[i]!));
      writeFileAtomic(files[i]!, bytes);
      options.onProgress?.(i + 1, samples.length);
    }
    return { out, files, samples: samples.length, medium: codec.kind, codec: codec.fingerprint };
  });
}

/** The names of files without extension. @throws {UsageError} E_DUPLICATE_KEY naming two files. */
function keysOf(files: readonly string[]): string[] {
  const sources = new Map<string, string>();
  for (const file of files) {
    const key = basename(file, extname(file));
    const other = sources.get(key);
    if (other !== undefined)
      throw new UsageError(
        'E_DUPLICATE_KEY',
        `${file}: expected a name of its own, ${other} is also called "${key}". Rename one, or use tesserae tokenize for a folder.`,
      );
    sources.set(key, file);
  }
  return [...sources.keys()];
}

function stopIfAborted({ signal }: FileJob, job: string, done: number, total: number): void {
  if (signal?.aborted) throw new AbortedError('E_ABORTED', `${job}: stopped after ${done} of ${total} samples.`);
}
