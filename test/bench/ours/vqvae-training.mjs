// Trains our VQ-VAE on given pictures in a given order, step by step as `train codec` does, and reports as
// peers/vqvae_train.py: node vqvae-training.mjs DATA.safetensors CONFIG.json SEED 1000,2000,... THREADS
import { readFileSync } from 'node:fs';
import { readSafetensors } from '../../../dist/src/checkpoint/safetensors-file.js';
import { compile, hostValues, randomKey, setDefaultThreads, tf } from '../../../dist/src/engine/node.js';
import { pixelsToFloat32 } from '../../../dist/src/media/image/pixels.js';
import { adamW, adamWHyper, adamWSlots, gradients } from '../../../dist/src/nn/optimizer.js';
import { createParams } from '../../../dist/src/model/params.js';
import { cosineSchedule } from '../../../dist/src/nn/schedule.js';
import { codecFamily } from '../../../dist/src/registry.js';
import { adamWConfig, CodecTrainingSchema } from '../../../dist/src/train/config.js';

const [dataFile, presetFile, seedText, reportText, threads] = process.argv.slice(2);
setDefaultThreads(Number(threads));
const seed = Number(seedText);
const reports = reportText.split(',').map(Number);
const { pixels, order } = readSafetensors(dataFile).tensors;
const [, height, width, channels] = pixels.shape;
const [, batchSize] = order.shape;
const preset = JSON.parse(readFileSync(presetFile, 'utf8'));
const family = codecFamily(preset.codec);
const config = family.parseConfig(preset.config);
const training = CodecTrainingSchema.parse({ ...preset.training, steps: reports.at(-1), batchSize });

const size = height * width * channels;
const values = pixelsToFloat32All(pixels.data);
const dataVariance = variance(values);
const trainable = createParams(family.trainable(config), seed);
const params = { ...trainable, ...createParams(family.state(config), seed) };
const slots = adamWSlots(trainable);
const adam = adamWConfig(training);

function pixelsToFloat32All(bytes) {
  const out = new Float32Array(bytes.length);
  pixelsToFloat32(bytes, out, 0);
  return out;
}

function variance(all) {
  let sum = 0;
  let squares = 0;
  for (const value of all) {
    sum += value;
    squares += value * value;
  }
  return squares / all.length - (sum / all.length) ** 2;
}

function batchOf(step) {
  const rows = new Float32Array(batchSize * size);
  for (let i = 0; i < batchSize; i++) {
    const at = order.data[(step - 1) * batchSize + i] * size;
    rows.set(values.subarray(at, at + size), i * size);
  }
  return tf.tensor4d(rows, [batchSize, height, width, channels]);
}

const initialize = compile((images, key) => family.initialize(params, images, key, config) ?? null, {
  name: 'initialize',
});
await initialize(batchOf(1), randomKey(seed, 0));
const trainStep = compile(
  (images, hyper, key, progress) => {
    const { result, grads } = gradients(trainable, () =>
      family.loss(params, { inputs: images, key, progress, dataVariance }, config),
    );
    adamW(trainable, slots, grads, hyper, adam);
    return { nmse: result.nmse };
  },
  { name: 'train' },
);
const codes = compile((images) => family.encode(params, images, config), { name: 'codes' });

/** Mean over the next hundred batches of the first map's perplexity. */
async function perplexity(step) {
  let sum = 0;
  for (let i = 1; i <= 100; i++) {
    const images = batchOf(((step + i - 1) % reports.at(-1)) + 1);
    const maps = await codes(images);
    const ids = hostValues(maps[0]);
    const counts = new Map();
    for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
    let entropy = 0;
    for (const count of counts.values()) entropy -= (count / ids.length) * Math.log(count / ids.length);
    sum += Math.exp(entropy);
    tf.dispose([images, maps]);
  }
  return sum / 100;
}

const recent = [];
let seconds = 0;
for (let step = 1; step <= reports.at(-1); step++) {
  const began = performance.now();
  const inputs = [
    batchOf(step),
    adamWHyper(step, cosineSchedule(step, training.steps, training), adam),
    randomKey(seed, step),
    tf.scalar((step - 1) / training.steps),
  ];
  const { nmse } = await trainStep(...inputs);
  recent.push(hostValues(nmse)[0]);
  tf.dispose([...inputs, nmse]);
  seconds += (performance.now() - began) / 1000;
  if (recent.length > 100) recent.shift();
  if (reports.includes(step))
    console.log(
      JSON.stringify({
        step,
        nmse: recent.reduce((a, b) => a + b) / recent.length,
        perplexity: await perplexity(step),
        seconds,
      }),
    );
}
