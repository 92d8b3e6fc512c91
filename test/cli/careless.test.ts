// Careless command lines: each ends in one clear line and the right exit code, and nothing is lost.
import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CODEC_SETTINGS,
  contentsOf,
  errorsOf,
  linesOf,
  run,
  succeed,
  temporaryFolder,
  writeInputs,
  writeModels,
} from './support.js';

const folder = temporaryFolder();
const world = folder.path;
const at = (name: string): string => join(world, name);

beforeAll(async () => {
  await writeInputs(world);
  await writeModels(world);
  await succeed(world, [
    'train',
    'codec',
    '--data',
    'data',
    '--out',
    'other-codec',
    '--config',
    'codec.json',
    '--seed',
    '7',
    '--steps',
    '2',
  ]);
  mkdirSync(at('empty'));
  mkdirSync(at('notes'));
  writeFileSync(at('notes/readme.md'), 'no pictures here');
  writeFileSync(at('broken.json'), '{ "config": ');
  writeFileSync(at('unknown-key.json'), JSON.stringify({ ...CODEC_SETTINGS, trianing: {} }));
  writeFileSync(
    at('bad-field.json'),
    JSON.stringify({ ...CODEC_SETTINGS, config: { ...CODEC_SETTINGS.config, height: 17 } }),
  );
  writeFileSync(at('weights.pt'), 'PK\u0003\u0004 something pickled');
  cpSync(at('data'), at('one-bad'), { recursive: true });
  const png = readFileSync(at('data/shape-00030.png'));
  writeFileSync(at('one-bad/shape-00030.png'), png.subarray(0, png.length >> 1));
  writeFileSync(at('half.png'), png.subarray(0, png.length >> 1));
  copyFileSync(at('data/shape-00030.png'), at('picture.png'));
  cpSync(at('codec'), at('damaged-codec'), { recursive: true });
  flipByte(at('damaged-codec/model.safetensors'), -3);
  cpSync(at('tokens'), at('damaged-tokens'), { recursive: true });
  flipByte(at('damaged-tokens/part-00000.msgpack'), 2000);
  cpSync(at('tokens'), at('unfinished-tokens'), { recursive: true, filter: (path) => !path.endsWith('manifest.json') });
}, 120_000);
afterAll(folder.remove);

function flipByte(path: string, index: number): void {
  const bytes = readFileSync(path);
  bytes[index < 0 ? bytes.length + index : index]! ^= 1;
  writeFileSync(path, bytes);
}

const trainCodec = ['train', 'codec', '--data', 'data', '--out', 'new', '--config', 'codec.json'];
const trainPrior = ['train', 'prior', '--tokens', 'tokens', '--out', 'new', '--config', 'prior.json'];
const tokenize = ['tokenize', '--data', 'data', '--codec', 'codec', '--out', 'new'];
const generate = ['generate', 'a small red circle', '--prior', 'prior', '--out', 'new.png'];

/** Wrong before anything is loaded: exit 2, nothing written. */
const MISUSE: [what: string, args: string[], line: RegExp][] = [
  [
    'an unknown command',
    ['tokenise', '--data', 'data'],
    /^E_USAGE unknown command 'tokenise' \(Did you mean tokenize\?\)/,
  ],
  ['an unknown flag', [...trainCodec, '--stpes', '10'], /^E_USAGE unknown option '--stpes' \(Did you mean --steps\?\)/],
  ['a missing flag', ['train', 'codec', '--data', 'data'], /required option '--out <PATH>' not specified/],
  ['a flag without its value', [...trainCodec, '--steps'], /option '--steps <N>' argument missing/],
  ['a stray argument', [...trainCodec, 'data'], /too many arguments/],
  [
    'negative steps',
    [...trainCodec, '--steps', '-5'],
    /^E_OPTION --steps: expected a whole number of at least 1, received "-5"\.$/,
  ],
  ['half a sample', [...trainCodec, '--batch', '1.5'], /^E_OPTION --batch: .* received "1\.5"/],
  [
    'a learning rate in words',
    [...trainPrior, '--learning-rate', 'fast'],
    /^E_OPTION --learning-rate: expected a number above 0, received "fast"/,
  ],
  [
    'a rule that there is not',
    [...trainPrior, '--keep', 'worst'],
    /^E_USAGE option '--keep <RULE>' argument 'worst' is invalid\. Allowed choices are best, last\./,
  ],
  [
    'negative patience',
    [...trainCodec, '--patience', '-1'],
    /^E_OPTION --patience: expected a whole number of at least 0, received "-1"/,
  ],
  [
    'a prompt that is neither cut nor refused',
    [...generate, '--too-long', 'maybe'],
    /^E_USAGE option '--too-long <WHAT>' argument 'maybe' is invalid/,
  ],
  ['a negative seed', [...trainPrior, '--seed', '-1'], /^E_OPTION --seed: /],
  [
    'all data held out',
    [...trainCodec, '--holdout', '1'],
    /^E_OPTION --holdout: expected a number of at least 0 and below 1, received "1"/,
  ],
  ['a class without a name', [...tokenize, '--classes', 'cat,,dog'], /^E_OPTION --classes: /],
  [
    'a template without its place',
    [...tokenize, '--caption-template', 'a photo'],
    /^E_OPTION --caption-template: expected a sentence with \{label\}/,
  ],
  [
    'an unknown split',
    ['eval', 'codec', '--codec', 'codec', '--data', 'data', '--split', 'dev'],
    /--split.*Allowed choices are train, test, all/,
  ],
  [
    'an unknown engine',
    [...trainCodec, '--engine', 'cuda'],
    /--engine.*Allowed choices are onnxruntime, tensorflow, reference/,
  ],
  ['no threads', ['doctor', '--threads', '0'], /^E_OPTION --threads: /],
  [
    'a probability above 1',
    [...generate, '--top-p', '1.5'],
    /^E_OPTION --top-p: expected a number above 0 and at most 1/,
  ],
  ['a negative temperature', [...generate, '--temperature', '-1'], /^E_OPTION --temperature: /],
  ['no pictures', [...generate, '-n', '0'], /^E_OPTION --n: /],
  ['rows of nothing', [...generate, '--prime-rows', '2'], /^E_OPTION --prime-rows: requires --prime/],
  [
    'missing data',
    ['train', 'codec', '--data', 'dta', '--out', 'new'],
    /^E_NOT_FOUND --data dta: expected a file or directory, found nothing/,
  ],
  [
    'a missing codec',
    ['tokenize', '--data', 'data', '--codec', 'codex', '--out', 'new'],
    /^E_NOT_FOUND --codec codex: /,
  ],
  [
    'a folder that is no codec',
    ['tokenize', '--data', 'data', '--codec', 'data', '--out', 'new'],
    /^E_NOT_A_MODEL --codec data: expected a model directory/,
  ],
  [
    'a folder that is no prior',
    ['generate', 'x', '--prior', 'tokens', '--out', 'new.png'],
    /^E_NOT_A_MODEL --prior tokens: /,
  ],
  [
    'a folder that is no tokens',
    ['train', 'prior', '--tokens', 'data', '--out', 'new'],
    /^E_NOT_A_DATASET --tokens data: expected tokens with manifest\.json/,
  ],
  [
    'unfinished tokens',
    ['train', 'prior', '--tokens', 'unfinished-tokens', '--out', 'new'],
    /^E_NOT_A_DATASET --tokens unfinished-tokens: .*--resume/,
  ],
  ['a missing picture to prime with', [...generate, '--prime', 'nothing.png'], /^E_NOT_FOUND --prime nothing\.png: /],
  [
    'an unknown preset',
    ['train', 'codec', '--data', 'data', '--out', 'new', '--preset', 'huge'],
    /^E_PRESET --preset huge: expected one of .*default/,
  ],
  [
    'preset and config at once',
    [...trainCodec, '--preset', 'default'],
    /'--config <FILE>' cannot be used with option '--preset <NAME>'/,
  ],
  [
    'a missing config',
    ['train', 'codec', '--data', 'data', '--out', 'new', '--config', 'nothing.json'],
    /^E_NOT_FOUND --config nothing\.json: /,
  ],
  [
    'a config that is no JSON',
    ['train', 'codec', '--data', 'data', '--out', 'new', '--config', 'broken.json'],
    /^E_CONFIG --config broken\.json: expected JSON/,
  ],
  [
    'a misspelled key in a config',
    ['train', 'codec', '--data', 'data', '--out', 'new', '--config', 'unknown-key.json'],
    /^E_CONFIG unknown-key\.json: .*"trianing"/,
  ],
  [
    'output that exists',
    ['train', 'codec', '--data', 'data', '--out', 'codec', '--config', 'codec.json'],
    /^E_OUTPUT_EXISTS --out codec: the directory is not empty \(.*\)\. .* --resume .* --force/,
  ],
  [
    'a picture that exists',
    ['generate', 'x', '--prior', 'prior', '--out', 'picture.png'],
    /^E_OUTPUT_EXISTS --out picture\.png: the file already exists/,
  ],
  [
    'a file as output directory',
    ['decode', '--tokens', 'tokens', '--out', 'picture.png'],
    /^E_OUTPUT_NOT_DIRECTORY --out picture\.png: /,
  ],
  [
    'output into the data',
    ['tokenize', '--data', 'data', '--codec', 'codec', '--out', './data', '--force'],
    /^E_SAME_PATH --out \.\/data: must differ from --data/,
  ],
  [
    'tokens trained into themselves',
    ['train', 'prior', '--tokens', 'tokens', '--out', 'tokens', '--resume'],
    /^E_SAME_PATH --out tokens: must differ from --tokens/,
  ],
  [
    'variants that would all be the same',
    ['tokenize', '--data', 'data', '--codec', 'codec', '--out', 'new', '--variants', '4'],
    /^E_DATA_OPTIONS variants: expected at most 1 without flip or crop/,
  ],
  ['neighbors in nothing', [...generate, '--neighbors', 'nowhere'], /^E_NOT_FOUND --neighbors nowhere: /],
  ['a comparison of one codec', ['compare', 'codec', '--data', 'data', '--out', 'new.html'], /^E_COMPARE /],
  [
    'a comparison with a missing codec',
    ['compare', 'codec', 'codex', '--data', 'data', '--out', 'new.html'],
    /^E_NOT_FOUND .*codex/,
  ],
  [
    'a feature network that is missing',
    ['eval', 'codec', '--codec', 'codec', '--data', 'data', '--features', 'net.onnx'],
    /^E_NOT_FOUND --features net\.onnx: /,
  ],
  [
    'a way between pictures that are missing',
    ['latents', 'interpolate', 'one.png', 'two.png', '--codec', 'codec', '--out', 'new.png'],
    /^E_NOT_FOUND .*one\.png/,
  ],
  [
    'pictures as GIF',
    ['generate', 'x', '--prior', 'prior', '--out', 'birds.gif'],
    /^E_OUTPUT_NAME --out birds\.gif: expected a \.png, \.jpg, \.jpeg, \.webp file or a directory, received the name of a \.gif file\.$/,
  ],
  [
    'a row of pictures as PDF',
    ['latents', 'interpolate', 'picture.png', 'picture.png', '--codec', 'codec', '--out', 'new.pdf'],
    /^E_OUTPUT_NAME --out new\.pdf: expected a \.png, \.jpg, \.jpeg, \.webp file or a directory/,
  ],
  [
    'a report that is no page',
    ['compare', 'codec', 'codec', '--data', 'data', '--out', 'new.png'],
    /^E_OPTION --out new\.png: expected a name that ends in \.html or \.htm/,
  ],
  [
    'a model named as a file',
    ['train', 'codec', '--data', 'data', '--out', 'codec.safetensors', '--config', 'codec.json'],
    /^E_OUTPUT_NAME --out codec\.safetensors: expected the name of a directory/,
  ],
  [
    'decoded pictures named as one',
    ['decode', '--tokens', 'tokens', '--out', 'results/all.png'],
    /^E_OUTPUT_NAME --out results\/all\.png: expected the name of a directory/,
  ],
  [
    'output below a file',
    ['generate', 'x', '--prior', 'prior', '--out', 'picture.png/new.png'],
    /^E_OUTPUT_NOT_DIRECTORY --out picture\.png\/new\.png: expected .*picture\.png to be a directory, found a file/,
  ],
  [
    'a picture and JSON on stdout',
    [...generate.slice(0, -1), '-', '--json'],
    /^E_OPTION --out -: cannot be combined with --json/,
  ],
  [
    'output nowhere',
    ['generate', 'x', '--prior', 'prior', '--out', ''],
    /^E_OPTION --out: expected a path, received an empty text/,
  ],
  [
    'resume and force at once',
    [...trainCodec, '--resume', '--force'],
    /'--resume' cannot be used with option '--force'/,
  ],
];

/** Found out while working: the exit code tells the kind. */
const FAULTS: [what: string, args: string[], code: number, line: RegExp][] = [
  [
    'a name that is too long for the disk',
    [...generate.slice(0, -1), `${'x'.repeat(300)}.png`],
    5,
    /^E_IO x+\.png: creating failed, the name is too long/,
  ],
  [
    'an empty folder',
    ['train', 'codec', '--data', 'empty', '--out', 'new'],
    3,
    /^E_DATA_EMPTY empty: expected PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF images, found an empty folder/,
  ],
  [
    'a folder without pictures',
    ['train', 'codec', '--data', 'notes', '--out', 'new'],
    3,
    /^E_DATA_EMPTY notes: .* found 1 file, 1 of them \.md\./,
  ],
  [
    'a text file as data',
    ['tokenize', '--data', 'notes/readme.md', '--codec', 'codec', '--out', 'new'],
    3,
    /^E_DATA_KIND notes\/readme\.md: .* found text/,
  ],
  [
    'a config with a wrong field',
    ['train', 'codec', '--data', 'data', '--out', 'new', '--config', 'bad-field.json'],
    2,
    /^E_CONFIG bad-field\.json: vqvae: .*multiples of downsample/,
  ],
  [
    'a codec in place of a prior',
    ['generate', 'x', '--prior', 'codec', '--out', 'new.png'],
    2,
    /^E_MODEL_KIND codec: expected a prior, found a codec/,
  ],
  [
    'a codec the prior was not trained for',
    ['generate', 'x', '--prior', 'prior', '--codec', 'other-codec', '--out', 'new.png'],
    4,
    /^E_CODEC_MISMATCH prior [0-9a-f]{12}: expected codec/,
  ],
  [
    'tokens decoded by another codec',
    ['decode', '--tokens', 'tokens', '--codec', 'other-codec', '--out', 'new'],
    4,
    /^E_CODEC_MISMATCH tokens: /,
  ],
  [
    'a damaged codec',
    ['tokenize', '--data', 'data', '--codec', 'damaged-codec', '--out', 'new'],
    4,
    /^E_MODEL_FILE damaged-codec.model\.safetensors: expected sha256/,
  ],
  [
    'damaged tokens',
    ['train', 'prior', '--tokens', 'damaged-tokens', '--out', 'new', '--config', 'prior.json'],
    4,
    /^E_SHARD_RECORD damaged-tokens.part-00000\.msgpack#\d+@\d+: /,
  ],
  [
    'weights of another framework',
    ['tokenize', '--data', 'data', '--codec', 'weights.pt', '--out', 'new'],
    2,
    /^E_MODEL_FORMAT weights\.pt: /,
  ],
  [
    'a prompt of words the prior does not know',
    ['generate', 'crimson rhombus '.repeat(200), '--prior', 'prior', '--out', 'new.png', '--too-long', 'refuse'],
    2,
    /^E_PROMPT_UNKNOWN prompt .* received crimson, rhombus, /,
  ],
  [
    'a prompt too long for the prior',
    ['generate', 'a small red circle '.repeat(200), '--prior', 'prior', '--out', 'new.png', '--too-long', 'refuse'],
    2,
    /^E_TEXT_TOO_LONG prompt /,
  ],
  ['half a picture to prime with', [...generate, '--prime', 'half.png'], 3, /^E_IMAGE_TRUNCATED half\.png: /],
  [
    'more rows than the picture has',
    [...generate, '--prime', 'picture.png', '--prime-rows', '9'],
    2,
    /^E_PRIME prime rows: expected 1 to 3 of the 4 rows/,
  ],
  [
    'an engine that is not installed',
    [...trainCodec, '--engine', 'tensorflow'],
    2,
    /^E_OPTIONAL engine tensorflow: .*npm install @tensorflow\/tfjs-node/,
  ],
  [
    'resuming with another seed',
    ['train', 'codec', '--data', 'data', '--out', 'codec', '--config', 'codec.json', '--seed', '9', '--resume'],
    2,
    /^E_RESUME_MISMATCH --resume .*seed 0, not 9/,
  ],
  [
    'resuming with other data',
    ['tokenize', '--data', 'one-bad', '--codec', 'codec', '--out', 'tokens', '--resume'],
    2,
    /^E_RESUME_MISMATCH .*the interrupted run had .*, not /,
  ],
];

describe('a careless command line', () => {
  it.each(MISUSE)('with %s exits 2 with one line and writes nothing', async (_, args, line) => {
    const before = contentsOf(world);
    const { code, stdout, stderr } = await run(world, args);
    expect(errorsOf(stderr)).toEqual([expect.stringMatching(line)]);
    // With --json, the error is also printed as JSON.
    expect(stdout).toMatch(args.includes('--json') ? /^\{"error":.*\}\n$/ : /^$/);
    expect(code).toBe(2);
    expect(contentsOf(world)).toEqual(before);
  });

  it.each(FAULTS)('with %s exits with one line and loses nothing', async (_, args, expected, line) => {
    const before = contentsOf(world);
    const { code, stdout, stderr } = await run(world, args);
    expect(errorsOf(stderr)).toEqual([expect.stringMatching(line)]);
    expect({ code, stdout }).toEqual({ code: expected, stdout: '' });
    expect(contentsOf(world)).toMatchObject(before);
  });

  it('without a command shows the help and exits 2', async () => {
    const { code, stdout, stderr } = await run(world, []);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^Usage: tesserae/);
  });

  it.each([
    ['an error', ['inspect', 'nowhere'], 'E_NOT_FOUND', 2, /^PATH nowhere: expected a file or directory/],
    ['a wrong option', ['inspect', 'data', '--nonsense'], 'E_USAGE', 2, /^unknown option '--nonsense'/],
  ])('with --json prints %s as JSON too', async (_, args, code, exitCode, message) => {
    const { code: ended, stdout, stderr } = await run(world, [...args, '--json']);
    expect(ended).toBe(exitCode);
    expect(JSON.parse(stdout)).toEqual({ error: { code, exitCode, message: expect.stringMatching(message) } });
    expect(stderr).toContain(code);
  });

  it('shows the stack only with --debug', async () => {
    const plain = await run(world, ['train', 'codec', '--data', 'nowhere', '--out', 'new']);
    const debug = await run(world, ['train', 'codec', '--data', 'nowhere', '--out', 'new', '--debug']);
    expect(plain.stderr).not.toContain('    at ');
    expect(debug.stderr).toMatch(/^E_NOT_FOUND .*\n.*E_NOT_FOUND[^]*\n {4}at /);
    expect(debug.code).toBe(2);
  });

  it('prints no control characters of a path on the terminal', async () => {
    const { stderr } = await run(world, ['inspect', 'red\u001b[31m\nalert']);
    expect(errorsOf(stderr)).toEqual([expect.stringMatching(/^E_NOT_FOUND PATH red\?\[31m alert: /)]);
  });
});

describe('one corrupt image among many', () => {
  it('stops tokenizing with exit 3 and names the file', async () => {
    const { code, stderr } = await run(world, [
      'tokenize',
      '--data',
      'one-bad',
      '--codec',
      'codec',
      '--out',
      'stopped',
    ]);
    expect(code).toBe(3);
    expect(errorsOf(stderr)).toEqual([
      expect.stringMatching(/^E_IMAGE_TRUNCATED one-bad.shape-00030\.png: .*--skip-bad/),
    ]);
  });

  it('is left out with --skip-bad, which exits 7 and lists it', async () => {
    const { code, stdout, stderr } = await run(world, [
      'tokenize',
      '--data',
      'one-bad',
      '--codec',
      'codec',
      '--out',
      'skipped',
      '--skip-bad',
      '--json',
    ]);
    expect(code).toBe(7);
    const { samples, rejected } = JSON.parse(stdout) as { samples: { train: number; test: number }; rejected: number };
    expect({ kept: samples.train + samples.test, rejected }).toEqual({ kept: 59, rejected: 1 });
    expect(linesOf(stderr).at(-1)).toMatch(
      /^E_SKIPPED finished, but skipped 1 bad sample, listed in skipped.rejects\.jsonl\.$/,
    );
    expect(JSON.parse(readFileSync(at('skipped/rejects.jsonl'), 'utf8'))).toMatchObject({ key: 'shape-00030' });
  });

  it('stops training with exit 3, unless it is to be skipped', async () => {
    const args = ['train', 'codec', '--data', 'one-bad', '--config', 'codec.json', '--steps', '2'];
    const stopped = await run(world, [...args, '--out', 'stopped-codec']);
    expect(stopped.code).toBe(3);
    expect(errorsOf(stopped.stderr)).toEqual([expect.stringMatching(/^E_IMAGE_TRUNCATED one-bad.shape-00030\.png/)]);
    const skipped = await run(world, [...args, '--out', 'skipping-codec', '--skip-bad']);
    expect(skipped.code).toBe(7);
    expect(skipped.stderr).toContain('E_SKIPPED finished, but skipped 1 bad sample.');
  });
});

it('training that diverges exits 8 and names the batch', async () => {
  const { code, stderr } = await run(world, [
    'train',
    'codec',
    '--data',
    'data',
    '--out',
    'diverged',
    '--config',
    'codec.json',
    '--learning-rate',
    '1e30',
  ]);
  expect(code).toBe(8);
  expect(errorsOf(stderr)).toEqual([
    expect.stringMatching(/^E_DIVERGED training step \d+: expected a finite .* shape-000/),
  ]);
});
