// Peak memory of tokenizing photographs: `node test/bench/memory.mjs [--count 300] [--workers N]`. Draws a few noise-like
// photographs of 24 megapixels and about 20 MB, links them into a folder of `count` files, tokenizes it with a codec of
// random weights in a process of its own, and prints seconds and peak resident memory.
import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { linkSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import sharp from 'sharp';

const WIDTH = 6000;
const HEIGHT = 4000;
const { values } = parseArgs({
  options: { count: { type: 'string', default: '300' }, workers: { type: 'string' }, 'run-in': { type: 'string' } },
});
if (values['run-in']) await tokenizeIn(values['run-in']);
else await measure();

async function measure() {
  const folder = mkdtempSync(join(tmpdir(), 'tesserae-memory-'));
  try {
    await drawPhotographs(folder, Number(values.count));
    const args = [
      fileURLToPath(import.meta.url),
      '--run-in',
      folder,
      ...(values.workers ? ['--workers', values.workers] : []),
    ];
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    process.stdout.write(stdout);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Baseline and progressive JPEG by turns: the latter is decoded whole. */
async function drawPhotographs(folder, count) {
  mkdirSync(join(folder, 'photos'));
  const kinds = [{ quality: 89 }, { quality: 89, progressive: true }];
  for (const [kind, options] of kinds.entries()) {
    const noise = randomFillSync(Buffer.alloc(WIDTH * HEIGHT * 3));
    const picture = sharp(noise, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } }).blur(0.5);
    const path = join(folder, `photo-${kind}`);
    await picture.jpeg(options).toFile(path);
    process.stdout.write(`photograph ${kind}: ${(statSync(path).size / 1e6).toFixed(1)} MB\n`);
  }
  for (let i = 0; i < count; i++)
    linkSync(join(folder, `photo-${i % kinds.length}`), join(folder, 'photos', `${String(i).padStart(5, '0')}.jpg`));
}

async function tokenizeIn(folder) {
  const [{ saveModel }, { createParams, exportParams }, { codecFamily }, { tokenize }] = await Promise.all(
    ['checkpoint/model.js', 'nn/params.js', 'registry.js', 'sdk/tokenize.js', 'engine/register-node.js'].map(
      (path) => import(new URL(`../../dist/src/${path}`, import.meta.url).href),
    ),
  );
  const family = codecFamily('vqvae');
  const config = family.parseConfig({
    height: 64,
    width: 64,
    channels: 3,
    downsample: 4,
    hidden: 128,
    quantizer: { codebookSize: 512, codeDim: 64 },
  });
  saveModel(
    join(folder, 'codec'),
    { kind: 'codec', name: 'vqvae', config, maps: family.maps(config) },
    exportParams(createParams({ ...family.trainable(config), ...family.state(config) }, 0)),
  );
  const started = performance.now();
  const { samples } = await tokenize({
    data: join(folder, 'photos'),
    codec: join(folder, 'codec'),
    out: join(folder, 'tokens'),
    workers: values.workers === undefined ? undefined : Number(values.workers),
  });
  const peak = process.resourceUsage().maxRSS / 1024;
  process.stdout.write(
    `${samples.train + samples.test} photographs, ${values.workers ?? 'default'} workers: ${((performance.now() - started) / 1000).toFixed(1)} s, peak ${peak.toFixed(0)} MiB\n`,
  );
}
