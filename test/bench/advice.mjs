// Advice beside what comes: trains codecs, and with --priors priors on their tokens, without named settings, and prints a Markdown table of
// the predicted and the real time and held-out error.
//   node test/bench/advice.mjs [--only fashion-mnist,cifar] [--steps N] [--priors] [--out DIR] [--json FILE]
// It needs the data of TESSERAE_DATA (default ../shared/data). Run npm run build first, and nothing else meanwhile. The constants of
// src/sdk/advice/laws.ts were fitted to such tables.
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { encodePng, openDataset, tokenize, trainCodec, trainPrior } from '../../dist/src/index.js';
import { decodeSample } from '../../dist/src/data/decode.js';
import { fullMedium } from '../../dist/src/media/node.js';

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string' },
    steps: { type: 'string' },
    priors: { type: 'boolean', default: false },
    out: { type: 'string' },
    json: { type: 'string' },
  },
});

const DATA = process.env.TESSERAE_DATA ?? '../shared/data';
const FOLDER_IMAGES = 300;
const SETS = {
  'fashion-mnist': join(DATA, 'fashion-mnist'),
  cifar: join(DATA, 'cifar10/cifar10-train.tar'),
  noto: join(DATA, 'emoji/noto-emoji-72.tar'),
  openmoji: join(DATA, 'emoji/openmoji-128.tar'),
  clipart: join(DATA, 'clipart/openclipart-128.tar'),
  tiles: join(DATA, 'tiles/dcss-tiles-32.tar'),
  'folder-300': undefined,
};

const folder = flags.out ?? mkdtempSync(join(tmpdir(), 'tesserae-advice-'));
mkdirSync(folder, { recursive: true });

/** Writes images that are spread over the clip art to a folder. */
async function folderOfImages() {
  const path = join(folder, 'images');
  if (existsSync(path)) return path;
  mkdirSync(path, { recursive: true });
  const dataset = await openDataset(SETS.clipart);
  const size = dataset.size('train');
  for (let i = 0; i < FOLDER_IMAGES; i++) {
    const sample = await decodeSample(
      await dataset.read('train', Math.floor((i * size) / FOLDER_IMAGES)),
      fullMedium('image'),
    );
    writeFileSync(join(path, `${i}.png`), await encodePng(sample.media));
    writeFileSync(join(path, `${i}.txt`), sample.captions[0] ?? '');
  }
  await dataset.close();
  return path;
}

/** One training without named settings. The time includes that of the advice, which is printed apart. */
async function rowOf(name, kind, train, figure) {
  const lines = [];
  const start = performance.now();
  let advised;
  const card = await train((line) => {
    lines.push(line);
    if (line.startsWith('expect: ')) advised = performance.now();
    console.error(`${name} ${kind}: ${line}`);
  });
  const { advice } = card.training;
  const row = {
    name,
    kind,
    adviceSeconds: (advised - start) / 1000,
    predictedSeconds: advice.seconds,
    seconds: (performance.now() - advised) / 1000,
    predictedError: advice.error.value,
    error: card.metrics[figure],
    steps: card.training.training.steps,
  };
  if (flags.json) appendFileSync(flags.json, `${JSON.stringify(row)}\n`);
  return row;
}

const rows = [];
const overrides = flags.steps ? { steps: Number(flags.steps) } : {};
for (const name of flags.only?.split(',') ?? Object.keys(SETS)) {
  const data = SETS[name] ?? (await folderOfImages());
  const at = (part) => join(folder, `${name}-${part}`);
  if (!existsSync(join(at('codec'), 'model.json')))
    rows.push(
      await rowOf(
        name,
        'codec',
        (onNote) => trainCodec({ data, out: at('codec'), force: true, onNote, ...overrides }),
        'nmse',
      ),
    );
  if (!flags.priors) continue;
  await tokenize({ data, codec: at('codec'), out: at('tokens'), force: true });
  rows.push(
    await rowOf(
      name,
      'prior',
      (onNote) => trainPrior({ tokens: at('tokens'), out: at('prior'), force: true, onNote, ...overrides }),
      'natsPerCode',
    ),
  );
}
const off = (predicted, real) => `${predicted >= real ? '+' : ''}${(100 * (predicted / real - 1)).toFixed(0)} %`;
const digits = (value) => value.toPrecision(3);
console.log(
  '| data | model | steps | advice takes, s | time predicted, s | came | off | error predicted | came | off |\n|---|---|---|---|---|---|---|---|---|---|',
);
for (const row of rows)
  console.log(
    `| ${row.name} | ${row.kind} | ${row.steps} | ${row.adviceSeconds.toFixed(0)} | ${row.predictedSeconds} | ${row.seconds.toFixed(0)} | ${off(row.predictedSeconds, row.seconds)} | ${digits(row.predictedError)} | ${digits(row.error)} | ${off(row.predictedError, row.error)} |`,
  );
if (!flags.out) rmSync(folder, { recursive: true });
