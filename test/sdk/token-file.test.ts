import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shapeSet } from '../../fixtures/shapes.js';
import { decodeFile, decodeImage, encodeFiles, encodePng, inspect, loadCodec, readTokenFile } from '../../src/index.js';
import type { Image, LoadedCodec } from '../../src/index.js';
import { buildProgram } from '../../src/cli/program.js';
import { Session } from '../../src/cli/session.js';

const CODEC = fileURLToPath(new URL('../../fixtures/models/shapes/codec', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'tesserae-file-'));
const at = (...names: string[]): string => join(folder, ...names);
let codec: LoadedCodec;
let images: Image[];

beforeAll(async () => {
  codec = await loadCodec(CODEC);
  images = shapeSet({ count: 3, seed: 5 }).train.map(({ image }) => image);
  for (const [i, name] of ['a', 'b'].entries()) writeFileSync(at(`${name}.png`), await encodePng(images[i]!));
});
afterAll(() => {
  codec.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const cli = (...args: string[]): Promise<unknown> =>
  buildProgram(new Session()).parseAsync(['node', 'tesserae', ...args]);

describe('encodeFiles and decodeFile', () => {
  it('bring a picture to tokens and back, as the codec itself does', async () => {
    const made = await encodeFiles({ files: [at('a.png')], codec, out: at('deep', 'a.msgpack') });
    expect(made).toMatchObject({ samples: 1, medium: 'image', codec: codec.fingerprint });
    expect(readFileSync(at('deep', 'a.msgpack'))).toHaveLength(made.bytes);
    const own = await codec.encode(images[0]!);
    const { samples } = readTokenFile(at('deep', 'a.msgpack'), { codec: codec.fingerprint });
    expect(samples).toEqual([{ key: 'a', captions: [], tokens: own }]);
    const { files } = await decodeFile({ tokens: made.out, codec, out: at('new', 'back.png') });
    expect(files).toEqual([at('new', 'back.png')]);
    const back = await decodeImage(readFileSync(files[0]!), 'back.png');
    expect(back.pixels).toEqual(((await codec.decode(own)) as Image).pixels);
  });

  it('keep several files apart, whose tokens do not depend on each other', async () => {
    await encodeFiles({ files: [at('b.png'), at('a.png')], codec, out: at('two.msgpack') });
    const { samples } = readTokenFile(at('two.msgpack'));
    expect(samples.map(({ key }) => key)).toEqual(['b', 'a']);
    expect(samples[1]!.tokens).toEqual(await codec.encode(images[0]!));
    await decodeFile({ tokens: at('two.msgpack'), codec, out: at('two') });
    expect(readdirSync(at('two')).sort()).toEqual(['a.png', 'b.png']);
    await expect(decodeFile({ tokens: at('two.msgpack'), codec, out: at('two.png') })).rejects.toMatchObject({
      code: 'E_OUTPUT_NAME',
    });
  });

  it('refuse names, other files, other codecs and damage', async () => {
    const encode = (files: string[], out: string) => encodeFiles({ files, codec, out });
    await expect(encode([], at('x.msgpack'))).rejects.toMatchObject({ code: 'E_OPTIONS' });
    await expect(encode([at('a.png'), at('.', 'deep', 'a.png')], at('x.msgpack'))).rejects.toMatchObject({
      code: 'E_DUPLICATE_KEY',
    });
    await expect(encode([at('a.png')], at('x.png'))).rejects.toMatchObject({ code: 'E_OPTION' });
    await expect(encode([at('a.png')], at('part-00000.msgpack'))).rejects.toMatchObject({ code: 'E_OUTPUT_NAME' });
    expect(() => readTokenFile(at('a.png'))).toThrow(/^E_NOT_TOKENS/);
    await encode([at('a.png')], at('whole.msgpack'));
    expect(() => readTokenFile(at('whole.msgpack'), { codec: '0'.repeat(64) })).toThrow(/^E_CODEC_MISMATCH/);
    const bytes = readFileSync(at('whole.msgpack'));
    writeFileSync(at('cut.msgpack'), bytes.subarray(0, -1));
    expect(() => readTokenFile(at('cut.msgpack'))).toThrow(/^E_SHARD_FOOTER/);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(at('flipped.msgpack'), bytes);
    expect(() => readTokenFile(at('flipped.msgpack'))).toThrow(/^E_/);
    const stopped = encodeFiles({ files: [at('a.png')], codec, out: at('none.msgpack'), signal: AbortSignal.abort() });
    await expect(stopped).rejects.toMatchObject({ code: 'E_ABORTED' });
    expect(existsSync(at('none.msgpack'))).toBe(false);
  });

  it('make files that inspect knows', async () => {
    await encodeFiles({ files: [at('a.png')], codec, out: at('known.msgpack') });
    expect(await inspect(at('known.msgpack'))).toMatchObject({
      kind: 'token-file',
      samples: 1,
      codec: codec.fingerprint,
      source: 'a.png',
      first: { key: 'a', media: { kind: 'image', width: images[0]!.width } },
    });
  });
});

describe('tesserae encode and decode', () => {
  it('write tokens and a picture, and do not overwrite', async () => {
    await cli('encode', at('a.png'), '--codec', CODEC, '--out', at('cli.msgpack'));
    await cli('decode', at('cli.msgpack'), '--codec', CODEC, '--out', at('cli', 'a.jpg'));
    expect(await decodeImage(readFileSync(at('cli', 'a.jpg')), 'a.jpg')).toMatchObject({ width: images[0]!.width });
    await cli('inspect', at('cli.msgpack'));
    await expect(cli('encode', at('a.png'), '--codec', CODEC, '--out', at('cli.msgpack'))).rejects.toMatchObject({
      code: 'E_OUTPUT_EXISTS',
    });
  });

  it.each([
    [['cli.msgpack', '--out', 'x.png'], 'E_NO_CODEC'],
    [['--codec', CODEC, '--out', 'x.png'], 'E_OPTION'],
    [['cli.msgpack', '--codec', CODEC, '--out', 'x.png', '--limit', '3'], 'E_OPTION'],
    [['a.png', '--codec', CODEC, '--out', 'x.png'], 'E_NOT_TOKENS'],
  ])('refuse decode %j', async (args, code) => {
    const located = args.map((arg) => (/^[\w.]+\.(png|msgpack)$/.test(arg) ? at(arg) : arg));
    await expect(cli('decode', ...located)).rejects.toMatchObject({ code });
  });
});
