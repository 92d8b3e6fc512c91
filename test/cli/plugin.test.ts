// A medium from outside, through the commands: `--plugin` registers series and a codec for them.
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeWaves } from '../support/waves.js';
import { contentsOf, errorsOf, linesOf, run, start, succeed, temporaryFolder, until } from './support.js';

const PLUGIN = fileURLToPath(new URL('../support/series.mjs', import.meta.url));
const folder = temporaryFolder();
const world = folder.path;
const at = (...names: string[]): string => join(world, ...names);
const withPlugin = (...args: string[]): string[] => [...args, '--plugin', PLUGIN];

/** The one JSON object a command prints. */
async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout } = await succeed(world, withPlugin(...args, '--json'));
  expect(linesOf(stdout)).toHaveLength(1);
  return JSON.parse(stdout) as Record<string, unknown>;
}

beforeAll(async () => {
  await writeWaves(world);
  await succeed(world, withPlugin('train', 'codec', '--data', 'data', '--out', 'codec', '--config', 'codec.json'));
  await succeed(world, withPlugin('tokenize', '--data', 'data', '--codec', 'codec', '--out', 'tokens'));
  await succeed(world, withPlugin('train', 'prior', '--tokens', 'tokens', '--out', 'prior', '--config', 'prior.json'));
}, 120_000);
afterAll(folder.remove);

describe('a medium of a plugin', () => {
  it('is measured in its own figures', async () => {
    expect(await json('eval', 'codec', '--codec', 'codec', '--data', 'data')).toMatchObject({
      samples: 10,
      correlation: expect.any(Number) as number,
      bitsPerSecond: (8 * 5) / (32 * 0.02),
      empiricalBitsPerSecond: expect.any(Number) as number,
    });
    const { stdout } = await succeed(world, withPlugin('eval', 'codec', '--codec', 'codec', '--data', 'data'));
    expect(stdout).toMatch(/^correlation +0\.\d+$/m);
    expect(stdout).toMatch(/^bits per second +62\.5, entropy-coded /m);
    expect(await json('eval', 'prior', '--prior', 'prior', '--tokens', 'tokens')).toMatchObject({ samples: 10 });
  });

  it('is encoded in worker threads to the same bytes as in one', async () => {
    for (const workers of ['0', '2'])
      await succeed(
        world,
        withPlugin('tokenize', '--data', 'data', '--codec', 'codec', '--out', `w${workers}`, '--workers', workers),
      );
    expect(contentsOf(at('w2'))).toEqual(contentsOf(at('w0')));
  });

  it('is shown by inspect', async () => {
    const { stdout } = await succeed(world, withPlugin('inspect', 'data'));
    expect(stdout).toMatch(/format +folder, series$/m);
    expect(stdout).toMatch(/first +.*: 40 frames of 2 channels, every 0\.02 s/m);
    expect(await json('inspect', 'data/train/fast/1.npy')).toMatchObject({ kind: 'sample', format: 'npy' });
    expect(await json('inspect', 'tokens')).toMatchObject({ kind: 'tokens', health: { ok: true } });
  });

  it('is generated, decoded, compared and exported', async () => {
    const { stdout } = await succeed(
      world,
      withPlugin('generate', 'slow', '--prior', 'prior', '--out', 'new', '-n', '2'),
    );
    expect(stdout).toBe('2 series in new\n');
    expect(existsSync(at('new', '00001.npy'))).toBe(true);
    expect(await json('inspect', 'new')).toMatchObject({ kind: 'samples', made: { medium: 'series', samples: 2 } });
    expect(
      await json('generate', 'slow', '--prior', 'prior', '--out', 'one.npy', '--prime', 'data/test/slow/0.npy'),
    ).toMatchObject({ medium: 'series', files: ['one.npy'] });
    expect(await json('generate', 'fast', '--prior', 'prior', '--out', 'near', '--neighbors', 'data')).toMatchObject({
      files: ['near/00000.npy', 'near/00000-nearest.npy'],
    });
    expect(await json('decode', '--tokens', 'tokens', '--out', 'decoded')).toMatchObject({
      medium: 'series',
      samples: 40,
    });
    await succeed(world, withPlugin('train', 'codec', '--data', 'data', '--out', 'other', '--config', 'other.json'));
    const compared = await succeed(world, withPlugin('compare', 'codec', 'other', '--data', 'data', '--out', 'c.html'));
    expect(compared.stdout).toMatch(/codec .*series .*bits per second .*correlation/);
    expect(readFileSync(at('c.html'), 'utf8')).toContain('<polyline');
    expect(await json('export', 'codec', '--out', 'onnx')).toMatchObject({ kind: 'export' });
  });

  it.each([
    ['without the plugin', ['inspect', 'data/train/fast/1.npy'], 3, /^E_DATA_KIND /],
    ['a codec without the plugin', ['eval', 'codec', '--codec', 'codec', '--data', 'data'], 2, /^E_UNKNOWN_MODEL /],
    [
      'a plugin that is missing',
      ['--plugin', 'nowhere.mjs', 'inspect', 'data'],
      2,
      /^E_NOT_FOUND --plugin nowhere\.mjs/,
    ],
    ['a plugin that fails', ['--plugin', 'bad.mjs', 'inspect', 'data'], 3, /^E_PLUGIN --plugin bad\.mjs: .*\(oh no\)/],
    [
      'several samples into one file',
      withPlugin('generate', 'slow', '--prior', 'prior', '--out', 'two.npy', '-n', '2'),
      2,
      /^E_OUTPUT_NAME --out two\.npy: expected a directory for 2 series/,
    ],
    [
      'a file of another medium',
      withPlugin('generate', 'slow', '--prior', 'prior', '--out', 'two.png'),
      2,
      /^E_OUTPUT_NAME --out two\.png: expected a \.npy file or a directory/,
    ],
    [
      'images for a codec of series',
      withPlugin('latents', 'codes', 'data/test/slow/0.npy', '--codec', 'codec', '--out', 'codes'),
      2,
      /^E_CODE_MAP code map: expected a medium whose codes can be drawn, received "series"/,
    ],
  ])('refuses %s in one line', async (_, args, code, message) => {
    writeFileSync(at('bad.mjs'), 'throw new Error("oh no");');
    const result = await run(world, args);
    expect(errorsOf(result.stderr)).toEqual([expect.stringMatching(message)]);
    expect(result.code).toBe(code);
  });
});

/** Writes a plugin that registers series with some fields changed. Worker threads load it, too. */
function writeVariant(name: string, { medium = '', codec = '', before = '' }): void {
  writeFileSync(
    at(name),
    `import { isMainThread } from 'node:worker_threads';
    import register from '${pathToFileURL(PLUGIN).href}';
    export default async (tesserae) => {
      ${before}
      register({
        ...tesserae,
        registerMedium: (medium) => tesserae.registerMedium({ ...medium, module: import.meta.url, ${medium} }),
        registerCodec: (codec) => tesserae.registerCodec({ ...codec, ${codec} }),
      });
    };`,
  );
}

describe('a plugin that cannot be loaded is refused in one line:', () => {
  it.each([
    ['', /^E_NOT_FOUND --plugin "": expected a file, found nothing\. Check the path\.$/],
    ['.', /^E_NOT_FOUND --plugin \.: expected a file, found a directory\. Check the path\.$/],
    [
      'file://host/x.mjs',
      /^E_NOT_FOUND --plugin file:\/\/host\/x\.mjs: expected a file, found another address \(.*host/,
    ],
  ])('the path "%s"', async (plugin, message) => {
    const { code, stderr } = await run(world, ['inspect', 'data', '--plugin', plugin]);
    expect(errorsOf(stderr)).toEqual([expect.stringMatching(message)]);
    expect(code).toBe(2);
  });

  it.skipIf('typescript' in process.features && process.features.typescript)('TypeScript', async () => {
    writeFileSync(at('typed.ts'), 'export default (tesserae: unknown) => undefined;');
    const { code, stderr } = await run(world, ['inspect', 'data', '--plugin', 'typed.ts']);
    expect(errorsOf(stderr)).toEqual([
      expect.stringMatching(/^E_PLUGIN --plugin typed\.ts: .*Compile TypeScript to \.mjs/),
    ]);
    expect(code).toBe(3);
  });

  it.each([
    ['in its default export', 'export default () => new Promise(() => {});'],
    ['at its top level', 'await new Promise(() => {});'],
  ])('one that waits forever %s', async (_, source) => {
    writeFileSync(at('waiting.mjs'), source);
    const { code, stderr } = await run(world, ['inspect', 'data', '--plugin', 'waiting.mjs']);
    expect(errorsOf(stderr)).toEqual([
      expect.stringMatching(/^E_PLUGIN --plugin waiting\.mjs: .* waits for a promise that never settles\. /),
    ]);
    expect(code).toBe(3);
  });

  it('one that throws a value without a text', async () => {
    writeFileSync(at('odd.mjs'), 'throw { toString() { throw 1; } };');
    const { code, stderr } = await run(world, ['inspect', 'data', '--plugin', 'odd.mjs']);
    expect(errorsOf(stderr)).toEqual([expect.stringMatching(/^E_PLUGIN --plugin odd\.mjs: /)]);
    expect(code).toBe(3);
  });

  it('one that registers an incomplete model or a name that is taken', async () => {
    writeFileSync(at('incomplete.mjs'), `export default ({ registerCodec }) => registerCodec({ name: 'foo' });`);
    const incomplete = await run(world, ['inspect', 'data', '--plugin', 'incomplete.mjs']);
    expect(errorsOf(incomplete.stderr)).toEqual([
      expect.stringMatching(/^E_REGISTERED_SHAPE --plugin incomplete\.mjs: register codec "foo": /),
    ]);
    writeVariant('again.mjs', {});
    const again = await run(world, ['inspect', 'data', '--plugin', PLUGIN, '--plugin', 'again.mjs']);
    expect(errorsOf(again.stderr)).toEqual([
      expect.stringMatching(/^E_REGISTERED --plugin again\.mjs: register medium: .*"series", which is taken\.$/),
    ]);
    expect([incomplete.code, again.code]).toEqual([2, 2]);
  });
});

describe('a plugin', () => {
  it('that registers nothing is told', async () => {
    writeFileSync(at('nothing.mjs'), 'export default () => undefined;');
    const { stderr } = await succeed(world, withPlugin('inspect', 'data', '--plugin', 'nothing.mjs'));
    expect(linesOf(stderr)).toEqual([expect.stringMatching(/^warning: --plugin nothing\.mjs registered nothing\. /)]);
  });

  it.each([
    ['a config', { codec: 'parseConfig: () => { throw new Error("oh no"); },' }],
    ['a decoder of files', { medium: 'files: { ...medium.files, decode: () => { throw new Error("oh no"); } },' }],
    ['a timer', { before: 'setTimeout(() => { throw new Error("oh no"); });' }],
  ])('is named when its functions fail: %s', async (_, changes) => {
    writeVariant('original.mjs', changes);
    // Stacks name the file that a link leads to.
    if (!existsSync(at('failing.mjs'))) symlinkSync('original.mjs', at('failing.mjs'));
    for (const workers of ['0', '2']) {
      const args = ['tokenize', '--data', 'data', '--codec', 'codec', '--out', 'failed', '--force'];
      const { code, stderr } = await run(world, [...args, '--workers', workers, '--plugin', 'failing.mjs']);
      expect(errorsOf(stderr)).toEqual([expect.stringMatching(/^E_PLUGIN --plugin .*original\.mjs: .*\(oh no\)/)]);
      expect(code).toBe(3);
    }
  });

  it('whose shape of samples is invalid is refused before anything is written', async () => {
    writeVariant('shapeless.mjs', { medium: 'itemShape: () => [NaN, 2],' });
    for (const workers of ['0', '2']) {
      const args = ['tokenize', '--data', 'data', '--codec', 'codec', '--out', 'shapeless', '--workers', workers];
      const { code, stderr } = await run(world, [...args, '--plugin', 'shapeless.mjs']);
      expect(errorsOf(stderr)).toEqual([
        'E_ITEM_SHAPE medium "series": expected itemShape to give 2 positive integers, received [NaN, 2]. Correct the medium.',
      ]);
      expect(code).toBe(2);
    }
    expect(existsSync(at('shapeless'))).toBe(false);
  });

  it('that does not finish loading in worker threads ends the command', async () => {
    writeVariant('stuck.mjs', { before: 'if (!isMainThread) await new Promise(() => {});' });
    const args = ['tokenize', '--data', 'data', '--codec', 'codec', '--out', 'stuck', '--workers', '2'];
    const { code, stderr } = await run(world, [...args, '--plugin', 'stuck.mjs']);
    expect(errorsOf(stderr)).toEqual([expect.stringMatching(/^E_PLUGIN --plugin .*stuck\.mjs: .* never settles/)]);
    expect(code).toBe(3);
  });

  it('that keeps worker threads from starting is ended by one signal', async () => {
    writeVariant('slow.mjs', { before: 'if (!isMainThread) await new Promise(() => setInterval(() => {}, 1000));' });
    const args = ['tokenize', '--data', 'data', '--codec', 'codec', '--out', 'slow', '--workers', '2'];
    const { child, finished } = start(world, [...args, '--plugin', 'slow.mjs']);
    await until(() => existsSync(at('slow', 'codec')), 'the first batch');
    child.kill('SIGTERM');
    const { code, stderr } = await finished;
    expect(errorsOf(stderr)).toEqual([
      expect.stringMatching(/^Stopping /),
      expect.stringMatching(/^E_ABORTED tokenize: stopped while worker threads were starting; /),
      `Continue with: tesserae ${args.join(' ')} --plugin slow.mjs --resume`,
    ]);
    expect(code).toBe(143);
    await succeed(world, withPlugin(...args, '--resume'));
    expect(contentsOf(at('slow'))).toEqual(contentsOf(at('tokens')));
  });

  it('whose function never settles ends the command with a line', async () => {
    writeVariant('endless.mjs', { medium: 'files: { ...medium.files, decode: () => new Promise(() => {}) },' });
    const args = ['tokenize', '--data', 'data', '--codec', 'codec', '--out', 'endless', '--workers', '0'];
    const { code, stderr } = await run(world, [...args, '--plugin', 'endless.mjs']);
    expect(errorsOf(stderr)).toEqual([expect.stringMatching(/^E_UNFINISHED command: /)]);
    expect(code).toBe(1);
  });
});
