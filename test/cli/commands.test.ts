// The four jobs and everything around them, from the command line.
import { cpSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { linesOf, run, sha256Of, succeed, temporaryFolder, writeInputs, writeModels } from './support.js';

const folder = temporaryFolder();
const world = folder.path;
const at = (name: string): string => join(world, name);

beforeAll(async () => {
  await writeInputs(world);
  await writeModels(world);
}, 120_000);
afterAll(folder.remove);

/** The one JSON object a command prints; what it shows on stderr is for people. */
async function json(args: string[]): Promise<Record<string, unknown>> {
  const { stdout } = await succeed(world, [...args, '--json']);
  expect(linesOf(stdout)).toHaveLength(1);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const HASH = expect.stringMatching(/^[0-9a-f]{64}$/);
const NUMBER = expect.any(Number);

describe('train, tokenize, train, generate', () => {
  it('leave models with cards, metrics, checkpoints and reports', () => {
    for (const model of ['codec', 'prior']) {
      const names = readdirSync(at(model));
      expect(names).toEqual(
        expect.arrayContaining(['model.json', 'model.safetensors', 'metrics.jsonl', 'checkpoints', 'report.html']),
      );
      expect(readdirSync(join(at(model), 'checkpoints'))).toHaveLength(2);
    }
    expect(existsSync(at('prior/tokenizer.json'))).toBe(true);
  });

  it('draw one image or a labeled grid into a .png, and files into a directory', async () => {
    expect(await json(['generate', 'a small red circle', '--prior', 'prior', '--out', 'one.png'])).toMatchObject({
      samples: 1,
      files: ['one.png'],
    });
    expect(await sharp(at('one.png')).metadata()).toMatchObject({ width: 512, height: 512 });
    await succeed(world, [
      'generate',
      'a small red circle',
      'a large blue square',
      '--prior',
      'prior',
      '--out',
      'grid.png',
      '-n',
      '2',
      '--cfg',
      '2',
      '--top-k',
      '8',
      '--top-p',
      '0.9',
      '--temperature',
      '0.8',
    ]);
    expect((await sharp(at('grid.png')).metadata()).width).toBe(12 + 2 * (256 + 12));
    expect(
      await json(['generate', 'a small red circle', '--prior', 'prior', '--out', 'many', '-n', '3']),
    ).toMatchObject({ files: ['many/00000.png', 'many/00001.png', 'many/00002.png'] });
    expect(
      await json(['generate', 'a small red circle', '--prior', 'prior', '--out', 'results/today/one.png']),
    ).toMatchObject({ files: ['results/today/one.png'] });
    expect(sha256Of(at('results/today/one.png'))).toBe(sha256Of(at('one.png')));
    expect(await json(['inspect', 'many'])).toMatchObject({
      kind: 'samples',
      fingerprint: HASH,
      made: {
        command: 'generate',
        medium: 'image',
        samples: 3,
        prompts: ['a small red circle'],
        sampling: { n: 3, seed: 0 },
      },
    });
  });

  it('say what a prior is trained on, what it keeps and why, on the screen and for programs', async () => {
    const args = ['train', 'prior', '--tokens', 'tokens', '--config', 'prior.json', '--steps', '6'];
    const { stderr } = await succeed(world, [...args, '--out', 'told', '--keep', 'last', '--patience', '3']);
    const lines = linesOf(stderr);
    expect(lines[0]).toMatch(
      /^tokens tokens: \d+ training and \d+ held-out samples, 60 captioned \(\d+ distinct captions\), no labels; codes 4 x 4 of 16, \d+ in use$/,
    );
    expect(lines[1]).toMatch(/^conditioning: text, because 60 of 60 samples have captions \(\d+ distinct\)$/);
    expect(lines).toContainEqual(expect.stringMatching(/^warning: only \d+ training samples/));
    expect(lines).toContainEqual(
      expect.stringMatching(/^kept the weights of step 6 \(held out [\d.]+ nats per code\), the last ones$/),
    );
    expect(await json([...args, '--out', 'told-again'])).toMatchObject({
      kept: { rule: 'best', step: 6, measure: 'natsPerCode', figure: NUMBER },
      warnings: expect.arrayContaining([expect.stringContaining('training samples')]),
    });
  });

  it('read a long prompt up to where the prior can, with a warning, or refuse it', async () => {
    const prompt = 'a small red circle above a large blue square above a large green triangle '.repeat(4);
    const { stderr } = await succeed(world, ['generate', prompt, '--prior', 'prior', '--out', 'long.png']);
    expect(linesOf(stderr)[0]).toMatch(
      /^warning: prompt "a small red circle .*\.\.\.": read up to "a small red circle.*", \d+ of its \d+ text tokens\.$/,
    );
    const refused = await run(world, [
      'generate',
      prompt,
      '--prior',
      'prior',
      '--out',
      'refused.png',
      '--too-long',
      'refuse',
    ]);
    expect(refused).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/E_TEXT_TOO_LONG prompt "a small red circle/),
    });
  });

  it('tokenize variants of the training images alone', async () => {
    const { samples } = (await json(['inspect', 'tokens'])) as { samples: { train: number; test: number } };
    expect(
      await json([
        'tokenize',
        '--data',
        'data',
        '--codec',
        'codec',
        '--out',
        'varied',
        '--variants',
        '3',
        '--flip',
        '--crop',
        '1',
      ]),
    ).toMatchObject({ samples: { train: 3 * samples.train, test: samples.test } });
  });

  it('compare codecs in a table, a sheet of images and a plot', async () => {
    await succeed(world, [
      'train',
      'codec',
      '--data',
      'data',
      '--out',
      'second',
      '--config',
      'codec.json',
      '--seed',
      '1',
    ]);
    expect(await json(['compare', 'codec', 'second', '--data', 'data', '--out', 'compared.html'])).toMatchObject({
      codecs: [{ nmse: NUMBER }, { nmse: NUMBER }],
    });
    expect(readFileSync(at('compared.html'), 'utf8')).toMatch(/^<!doctype html>/i);
  });

  it('walk through the latents and draw the codes of an image', async () => {
    const [first, second] = readdirSync(at('data'))
      .filter((name) => name.endsWith('.png'))
      .map((name) => join('data', name));
    await succeed(world, [
      'latents',
      'interpolate',
      first!,
      second!,
      '--codec',
      'codec',
      '--out',
      'way.png',
      '-n',
      '4',
    ]);
    await succeed(world, ['latents', 'codes', first!, '--codec', 'codec', '--out', 'codes.png']);
    for (const name of ['way.png', 'codes.png']) expect((await sharp(at(name)).metadata()).width).toBeGreaterThan(16);
  });

  it('show beside each image its nearest in a dataset', async () => {
    const made = await json([
      'generate',
      'a small red circle',
      '--prior',
      'prior',
      '--out',
      'near',
      '-n',
      '2',
      '--neighbors',
      'data',
    ]);
    expect(made).toMatchObject({
      samples: 2,
      files: ['near/00000.png', 'near/00000-nearest.png', 'near/00001.png', 'near/00001-nearest.png'],
      neighbors: [{ key: expect.any(String), caption: expect.any(String), mse: NUMBER }, { mse: NUMBER }],
    });
    await succeed(world, [
      'generate',
      'a small red circle',
      '--prior',
      'prior',
      '--out',
      'near.png',
      '-n',
      '2',
      '--neighbors',
      'data',
    ]);
    expect((await sharp(at('near.png')).metadata()).width).toBe(12 + 4 * (256 + 12));
  });

  it('draw the same for the same seed, whatever the batch, and something else for another', async () => {
    const drawings: string[] = [];
    for (const [i, more] of [[], ['--batch-size', '3'], ['--seed', '1']].entries()) {
      await succeed(world, [
        'generate',
        'a large green triangle',
        '--prior',
        'prior',
        '--out',
        `seed${i}.png`,
        '-n',
        '4',
        ...more,
      ]);
      drawings.push(sha256Of(at(`seed${i}.png`)));
    }
    const [first, inBatches, another] = drawings;
    expect(inBatches).toBe(first);
    expect(another).not.toBe(first);
  });

  it('continue the image they are primed with', async () => {
    const draw = ['generate', 'a small red circle', '--prior', 'prior', '--temperature', '0'];
    await succeed(world, [...draw, '--out', 'unprimed.png']);
    await succeed(world, [...draw, '--out', 'primed.png', '--prime', 'data/shape-00000.png', '--prime-rows', '3']);
    expect(sha256Of(at('primed.png'))).not.toBe(sha256Of(at('unprimed.png')));
  });

  it('refuse a prompt for a prior that listens to nothing, and draw without one', async () => {
    await succeed(world, [
      'train',
      'prior',
      '--tokens',
      'tokens',
      '--out',
      'deaf',
      '--config',
      'prior.json',
      '--steps',
      '2',
      '--conditioning',
      'none',
    ]);
    const refused = await run(world, ['generate', 'a cat', '--prior', 'deaf', '--out', 'deaf.png']);
    expect(refused).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^E_PROMPT prompt "a cat": expected no prompt, because deaf/),
    });
    await succeed(world, ['generate', '--prior', 'deaf', '--out', 'deaf.png']);
  });

  it('write shards that do not depend on the number of workers', async () => {
    await succeed(world, ['tokenize', '--data', 'data', '--codec', 'codec', '--out', 'tokens-2', '--workers', '2']);
    const parts = readdirSync(at('tokens')).filter((name) => name.startsWith('part-'));
    expect(parts).toHaveLength(2);
    for (const file of [...parts, 'manifest.json'])
      expect(sha256Of(at(`tokens-2/${file}`))).toBe(sha256Of(at(`tokens/${file}`)));
  });
});

describe('eval', () => {
  it('prints the measures of a codec on held-out images', async () => {
    const evaluation = await json(['eval', 'codec', '--codec', 'codec', '--data', 'data']);
    expect(evaluation).toMatchObject({
      samples: NUMBER,
      nmse: NUMBER,
      psnr: NUMBER,
      ssim: NUMBER,
      sharpness: NUMBER,
      bitsPerPixel: (16 * 4) / 256,
      maps: [
        {
          name: 'codes',
          grid: [4, 4],
          levels: 1,
          vocabSize: 16,
          used: NUMBER,
          usage: NUMBER,
          entropyRatio: NUMBER,
          perplexity: NUMBER,
        },
      ],
    });
    const { metrics } = JSON.parse(readFileSync(at('codec/model.json'), 'utf8')) as { metrics: { nmse: number } };
    expect(evaluation.nmse).toBeCloseTo(metrics.nmse, 6);
    expect(await json(['eval', 'codec', '--codec', 'codec', '--data', 'data', '--split', 'all'])).toMatchObject({
      samples: 60,
    });
  });

  it('prints the cross-entropy of a prior in nats and bits', async () => {
    const { natsPerCode, bitsPerCode, accuracy } = (await json([
      'eval',
      'prior',
      '--prior',
      'prior',
      '--tokens',
      'tokens',
    ])) as Record<string, number>;
    expect(bitsPerCode).toBeCloseTo(natsPerCode! / Math.LN2, 10);
    expect(accuracy).toBeGreaterThanOrEqual(0);
    expect(accuracy).toBeLessThanOrEqual(1);
  });
});

describe('decode, export, repair', () => {
  it('turns tokens back into a dataset with the captions', async () => {
    expect(await json(['decode', '--tokens', 'tokens', '--out', 'decoded'])).toMatchObject({ samples: 60 });
    expect(await json(['inspect', 'decoded'])).toMatchObject({
      kind: 'samples',
      made: { command: 'decode', medium: 'image', samples: 60 },
    });
    const { samples, captions } = (await json(['inspect', 'decoded/train'])) as {
      samples: Record<string, number>;
      captions: { samples: number };
    };
    expect(samples.train! + samples.test!).toBe(captions.samples);
    expect(
      await json([
        'decode',
        '--tokens',
        'tokens',
        '--codec',
        'codec',
        '--split',
        'test',
        '--limit',
        '2',
        '--out',
        'decoded-2',
      ]),
    ).toMatchObject({ samples: 2 });
  });

  it('writes ONNX files with a card, which inspect verifies', async () => {
    await json(['export', 'codec', '--out', 'onnx']);
    expect(await json(['inspect', 'onnx'])).toMatchObject({
      kind: 'export',
      model: { kind: 'codec', name: 'vqvae' },
      functions: [{ name: 'encoder' }, { name: 'decoder' }],
    });
  });

  it('saves the intact records of damaged tokens', async () => {
    const { recovered } = (await json(['repair', 'tokens', '--out', 'repaired'])) as {
      recovered: Record<string, number>;
    };
    expect(recovered.train! + recovered.test!).toBe(60);
    await succeed(world, ['decode', '--tokens', 'repaired', '--out', 'decoded-repaired', '--limit', '1']);
  });
});

describe('inspect', () => {
  it.each([
    ['data', 'dataset'],
    ['codec', 'codec'],
    ['prior', 'prior'],
    ['tokens', 'tokens'],
    ['tokens/manifest.json', 'tokens'],
    ['data/shape-00000.png', 'sample'],
  ])('knows %s as %s', async (path, kind) => {
    expect(await json(['inspect', path])).toMatchObject({ kind, fingerprint: HASH });
  });

  it('tells people the same in lines, first of all what it is', async () => {
    const { stdout } = await succeed(world, ['inspect', 'tokens']);
    expect(stdout).toMatch(/^tokens [0-9a-f]{12} {2}tokens\n {2}samples +\d+ train, \d+ test\n/);
  });

  it('names the damage in tokens, and exits 4', async () => {
    cpSync(at('tokens'), at('damaged'), { recursive: true });
    const part = readFileSync(at('damaged/part-00000.msgpack'));
    part[2000]! ^= 1;
    writeFileSync(at('damaged/part-00000.msgpack'), part);
    const { code, stdout, stderr } = await run(world, ['inspect', 'damaged', '--json']);
    expect(code).toBe(4);
    expect(JSON.parse(stdout)).toMatchObject({
      kind: 'tokens',
      fingerprint: HASH,
      health: { ok: false, problem: expect.stringContaining('part-00000.msgpack#') },
    });
    expect(linesOf(stderr)).toEqual([expect.stringMatching(/^E_SHARD_RECORD damaged.part-00000\.msgpack#\d+@\d+/)]);
  });
});

describe('the surroundings', () => {
  it('print help with the presets and an example on stdout', async () => {
    const { stdout, stderr } = await succeed(world, ['train', 'codec', '--help']);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/Presets:\n {2}default +Color images/);
    expect(stdout).toMatch(/Example:\n {2}tesserae train codec --data/);
    const all = await succeed(world, ['--help']);
    for (const command of ['demo', 'train', 'eval', 'tokenize', 'generate', 'decode', 'inspect', 'export', 'doctor'])
      expect(all.stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
  });

  it('print the version', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect((await succeed(world, ['--version'])).stdout).toBe(`${version}\n`);
  });

  it('keep progress off stdout', async () => {
    const { stdout, stderr } = await succeed(world, [
      'train',
      'codec',
      '--data',
      'data',
      '--out',
      'quiet',
      '--config',
      'codec.json',
      '--steps',
      '2',
      '--json',
    ]);
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'codec', fingerprint: HASH, metrics: { nmse: NUMBER } });
    expect(stderr).toMatch(/train codec +100% +2\/2 steps/);
  });

  it('end quietly when the reader of stdout leaves', async () => {
    const { code, stderr } = await run(world, ['--help'], {
      shell: (command) => `set -o pipefail; ${command} | head -n 1 > /dev/null`,
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    // The reader is gone before the first byte: the write itself fails.
    const gone = await run(world, ['inspect', 'codec'], { shell: (command) => `set -o pipefail; ${command} | true` });
    expect({ code: gone.code, stderr: gone.stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('train on the engine and the threads asked for', async () => {
    const args = [
      'train',
      'codec',
      '--data',
      'data',
      '--config',
      'codec.json',
      '--steps',
      '2',
      '--limit',
      '16',
      '--threads',
      '1',
    ];
    const native = (await json([...args, '--out', 'native'])) as { fingerprint: string; metrics: { nmse: number } };
    const reference = (await json([...args, '--out', 'reference', '--engine', 'reference'])) as typeof native;
    // Two steps in float32 by different orders of summation.
    expect(reference.metrics.nmse).toBeCloseTo(native.metrics.nmse, 2);
    expect(reference.fingerprint).not.toBe(native.fingerprint);
  });
});

it('doctor says what works and how fast', async () => {
  const found = await json(['doctor']);
  expect(found).toMatchObject({
    kind: 'doctor',
    ok: true,
    node: process.versions.node,
    engines: { onnxruntime: { ok: true }, reference: { ok: true } },
    pictures: { ok: true },
  });
  expect(found.native).toBe(true);
  for (const value of Object.values(found.speed as Record<string, number>)) expect(value).toBeGreaterThan(0);
});

it('doctor repairs nothing in a checkout', async () => {
  expect(await run(world, ['doctor', '--repair'])).toMatchObject({
    code: 2,
    stdout: '',
    stderr: 'E_REPAIR native library: expected an installed package, found a checkout. Run "npm ci" there.\n',
  });
});

it('demo tells the whole story and leaves an image', async () => {
  const result = await json([
    'demo',
    '--out',
    'demo',
    '--count',
    '100',
    '--codec-steps',
    '2',
    '--prior-steps',
    '2',
    '--prompts',
    '2',
  ]);
  expect(result).toMatchObject({
    kind: 'demo',
    prompts: 2,
    obeyed: NUMBER,
    codec: { nmse: NUMBER },
    prior: { natsPerCode: NUMBER },
  });
  expect(existsSync(at(result.picture as string))).toBe(true);
  expect(await json(['inspect', 'demo'])).toMatchObject({ kind: 'demo', fingerprint: HASH, prompts: 2 });
});
