// Quality side by side: our codec and the PyTorch twin of Sonnet's VQ-VAE, on the same pictures in the same order.
//   node test/bench/training.mjs [--preset sonnet] [--seeds 0,1,2] [--report 1000,2000,5000,10000] [--threads N]
// Twin and ours run at the same time, on THREADS cores each.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeSafetensors } from '../../dist/src/checkpoint/safetensors-file.js';
import { decodeSample, openDataset } from '../../dist/src/data/open.js';
import { permutation } from '../../dist/src/rng.js';
import { peerPython } from './peer.mjs';

const { values: flags } = parseArgs({
  options: {
    preset: { type: 'string', default: 'sonnet' },
    seeds: { type: 'string', default: '0' },
    report: { type: 'string', default: '1000,2000,5000,10000' },
    threads: { type: 'string', default: '1' },
    data: { type: 'string', default: join(process.env.TESSERAE_DATA ?? '../shared/data', 'cifar10/cifar10-train.tar') },
    only: { type: 'string' },
  },
});
const BATCH = 32;

async function writeData(path, seed, steps) {
  const dataset = await openDataset(flags.data);
  const count = dataset.size('train');
  const pictures = [];
  for (let i = 0; i < count; i++) pictures.push((await decodeSample(await dataset.read('train', i))).image);
  await dataset.close();
  const [{ height, width, channels }] = pictures;
  const pixels = new Uint8Array(count * height * width * channels);
  pictures.forEach((picture, i) => pixels.set(picture.pixels, i * height * width * channels));
  const order = Int32Array.from({ length: steps * BATCH });
  for (let epoch = 0; epoch * count < order.length; epoch++) {
    order.set(permutation(count, seed, 'bench/order', epoch).subarray(0, order.length - epoch * count), epoch * count);
  }
  writeSafetensors(path, {
    pixels: { dtype: 'uint8', shape: [count, height, width, channels], data: pixels },
    order: { dtype: 'int32', shape: [steps, BATCH], data: order },
  });
}

/** The JSON lines a program prints. */
async function reportsOf(name, command, args) {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, OMP_NUM_THREADS: flags.threads },
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part) => {
    text += part;
    process.stderr.write(`${name}: ${part}`);
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new Error(`${name} ended with code ${code}`);
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const folder = mkdtempSync(join(tmpdir(), 'tesserae-training-'));
try {
  const data = join(folder, 'data.safetensors');
  const rows = [];
  for (const seed of flags.seeds.split(',')) {
    await writeData(data, Number(seed), Number(flags.report.split(',').at(-1)));
    const runs = {
      twin: () =>
        reportsOf('twin', peerPython(), [
          join(import.meta.dirname, 'peers/vqvae_train.py'),
          '--data',
          data,
          '--report',
          flags.report,
          '--seed',
          seed,
          '--threads',
          flags.threads,
        ]),
      ours: () =>
        reportsOf('ours', process.execPath, [
          join(import.meta.dirname, 'ours/vqvae-training.mjs'),
          data,
          join(import.meta.dirname, `../../presets/codec/${flags.preset}.json`),
          seed,
          flags.report,
          flags.threads,
        ]),
    };
    const wanted = Object.entries(runs).filter(([name]) => !flags.only || flags.only === name);
    const results = await Promise.all(
      wanted.map(async ([name, run]) =>
        (await run()).map((one) => ({ name: name === 'ours' ? flags.preset : name, seed, ...one })),
      ),
    );
    rows.push(...results.flat());
  }
  console.log('| codec | seed | step | NMSE | perplexity | seconds |\n|---|---|---|---|---|---|');
  for (const { name, seed, step, nmse, perplexity, seconds } of rows.sort(
    (a, b) => a.step - b.step || a.seed - b.seed,
  )) {
    console.log(
      `| ${name} | ${seed} | ${step} | ${nmse.toFixed(4)} | ${perplexity.toFixed(0)} | ${seconds.toFixed(0)} |`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
