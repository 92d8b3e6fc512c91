// A medium from outside, through the commands: `--plugin` registers series and a codec for them.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeWaves } from '../support/waves.js';
import { contentsOf, errorsOf, linesOf, run, succeed, temporaryFolder } from './support.js';

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
