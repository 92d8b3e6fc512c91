// Whether the PyTorch twins are twins: our weights in both, the same pictures, the same random numbers.
//   node test/bench/twins.mjs [--preset a,b]
// Ids of which the best two scores differ by less than TIE may differ, and move the state. Exits with 1 when a twin is none.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { saveModel } from '../../dist/src/checkpoint/model.js';
import { readSafetensors, writeSafetensors } from '../../dist/src/checkpoint/safetensors-file.js';
import { compile, hostValues, randomKey, randomNormal, randomUniform, tf } from '../../dist/src/engine/node.js';
import { exportParams } from '../../dist/src/model/params.js';
import { presetNames } from '../../dist/src/sdk/presets.js';
import { codecOf, codecStep, compiledEncoder, DATA_VARIANCE, PROGRESS } from './ours/codec.mjs';
import { peerPython } from './peer.mjs';

/** Rounding of distances and logits of about 1. */
const TIE = 1e-5;
/** Relative, of all numbers together: float32 over the depth of the networks. */
const TOLERANCE = { pictures: 1e-4, loss: 1e-4, gradient: 1e-4, state: 1e-5 };
/** Seeds tried: a unit of a ReLU within rounding of 0, or a tie in the step, throws gradients off by chance. A twin that is none fails with all. */
const SEEDS = 4;
/** Steps taken first, so that counts, prices and moments are not those of the start. */
const STEPS = 3;

const { values } = parseArgs({ options: { preset: { type: 'string' } } });

const tensor = (t) => ({ dtype: t.dtype, shape: [...t.shape], data: hostValues(t).slice() });
const scalar = (value) => ({ dtype: 'float32', shape: [1], data: Float32Array.of(value) });

/** Parts codes that started on the same latent, and forgets the uses of every tenth, which the next step then restarts unless it is chosen. */
function unsettle(params) {
  for (const name of Object.keys(params).filter((name) => name.endsWith('.emaCount'))) {
    const [counts, codebook] = [params[name], params[name.replace('emaCount', 'codebook')]];
    counts.assign(tf.tensor1d(hostValues(counts).map((count, i) => (i % 10 === 0 ? 0 : count))));
    codebook.assign(tf.mul(codebook, tf.add(1, tf.mul(randomNormal(randomKey(0, 2), codebook.shape, 'twins'), 0.1))));
  }
}

/** What the step draws at random, by the names that `twin.py` takes. */
function draws({ name, config: { quantizer, height, width, downsample, latent }, params }, key, batch) {
  if (name === 'vae') return { latents: randomNormal(key, [batch, latent.size], 'vae.latents') };
  const positions = (batch * height * width) / downsample ** 2;
  if (quantizer.name === 'gumbel')
    return { gumbel: randomUniform(key, [positions, quantizer.codebookSize], 'quantizer.gumbel') };
  const sizes = Object.keys(params)
    .filter((param) => param.endsWith('.emaCount'))
    .map((param) => params[param].size);
  return Object.fromEntries(sizes.map((size) => [`restart.${size}`, randomUniform(key, [size], 'quantizer.restart')]));
}

/** |a - b| / |b|. */
function distance(a, b) {
  let [difference, size] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    size += b[i] ** 2;
  }
  return Math.sqrt(difference / (size || 1));
}

/** Over all tensors of `ours` together: the twin's are named with `prefix`. */
function distanceOfAll(ours, twin, prefix) {
  const names = Object.keys(ours);
  const all = (valuesOf) => Float64Array.from(names.flatMap((name) => [...valuesOf(name)]));
  return distance(
    all((name) => twin[`${prefix}${name}`].data),
    all((name) => ours[name].data),
  );
}

function runTwin(folder, inputs) {
  const [input, out] = ['input', 'out'].map((name) => join(folder, `${name}.safetensors`));
  writeSafetensors(input, inputs);
  execFileSync(
    peerPython(),
    [
      join(import.meta.dirname, 'peers/twin.py'),
      'codec',
      '--model',
      join(folder, 'codec'),
      '--input',
      input,
      '--out',
      out,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  return readSafetensors(out).tensors;
}

async function compare(preset, seed, folder) {
  const codec = codecOf(preset, seed);
  const { family, config, training, trainable, params, adversary } = codec;
  const { step, args } = codecStep(codec, { withGradients: true });
  const [images, , key, , rival] = args;
  await compile((pictures, key) => family.initialize(params, pictures, key, config) ?? null)(images, randomKey(0, 0));
  const compiled = compile(step);
  for (let i = 0; i < STEPS; i++) tf.dispose(await compiled(...args));
  unsettle(params);

  const maps = await compiledEncoder(codec)(images);
  const decoder = compile(family.exports(params, config).decoder.fn);
  const codes = config.quantizer ? maps : maps.slice(0, 1);
  const pictures = await decoder(...codes);
  saveModel(
    join(folder, 'codec'),
    { kind: 'codec', name: family.name, config, maps: family.maps(config) },
    exportParams(params),
  );
  const opponent = adversary && {
    ...exportParams(adversary.saved),
    adversarialWeight: scalar(training.adversarial.weight),
  };
  const random = Object.entries(draws({ name: family.name, config, params }, key, images.shape[0])).map(([name, t]) => [
    name,
    tensor(t),
  ]);
  const given = Object.fromEntries(codes.map((map, i) => [`map.${i}`, tensor(map)]));
  const twin = runTwin(folder, {
    images: tensor(images),
    variance: scalar(DATA_VARIANCE),
    progress: scalar(PROGRESS),
    ...given,
    ...Object.fromEntries(random),
    ...opponent,
  });
  const momentsBefore = rival && exportParams(adversary.saved);

  const { loss, grads } = await compiled(...args);
  const state = exportParams(Object.fromEntries(Object.entries(params).filter(([name]) => !trainable[name])));
  const gradients = Object.fromEntries(Object.entries(grads).map(([name, t]) => [name, tensor(t)]));
  if (rival) Object.assign(gradients, gradientsFromMoments(momentsBefore, exportParams(adversary.saved)));
  const ofMaps = codes.map((map, i) =>
    idsThatDiffer(hostValues(map), twin[`map.${i}`].data, twin[`margin.${i}`]?.data),
  );
  return {
    parameters: [Object.values(trainable).reduce((sum, { size }) => sum + size, 0), Number(twin.parameters.data[0])],
    differ: ofMaps.reduce((sum, { differ }) => sum + differ, 0),
    notTies: ofMaps.reduce((sum, { notTies }) => sum + notTies, 0),
    ids: codes.reduce((sum, { size }) => sum + size, 0),
    pictures: distance(twin.pictures.data, hostValues(pictures)),
    loss: Math.abs(hostValues(loss)[0] / twin.loss.data[0] - 1),
    gradient: distanceOfAll(gradients, twin, 'grad.'),
    state: distanceOfAll(state, twin, 'after.'),
  };
}

/** Of the adversary, whose update tells nothing else: Adam's first moment m = 0.5 m + 0.5 g. */
function gradientsFromMoments(before, after) {
  const names = Object.keys(before).filter((name) => name.startsWith('m.'));
  return Object.fromEntries(
    names.map((name) => [name.slice(2), { data: after[name].data.map((m, i) => 2 * m - before[name].data[i]) }]),
  );
}

/** Ids; or latents, which have no margins and are counted where they differ at all. */
function idsThatDiffer(ours, twin, margins) {
  const differing = [...ours.keys()].filter((i) => (margins ? ours[i] !== twin[i] : Math.abs(ours[i] - twin[i]) > TIE));
  return { differ: differing.length, notTies: differing.filter((i) => !margins || margins[i] > TIE).length };
}

function isTwin({ parameters, differ, notTies, ids, ...errors }) {
  const limits = { ...TOLERANCE, state: TOLERANCE.state + differ / ids };
  return (
    parameters[0] === parameters[1] &&
    notTies === 0 &&
    Object.entries(limits).every(([name, limit]) => errors[name] <= limit)
  );
}

const folder = mkdtempSync(join(tmpdir(), 'tesserae-twins-'));
try {
  console.log(
    '| preset | twin | seed | parameters | ids that differ | not ties | pictures | loss | gradients | state |\n|---|---|---|---|---|---|---|---|---|---|',
  );
  for (const preset of values.preset?.split(',') ?? presetNames('codec')) {
    let [seed, result] = [-1];
    while (!result || (!isTwin(result) && seed < SEEDS - 1)) result = await compare(preset, ++seed, folder);
    if (!isTwin(result)) process.exitCode = 1;
    const { parameters, differ, ids, notTies, ...errors } = result;
    const cells = [
      isTwin(result) ? 'yes' : 'no',
      seed,
      parameters.join(' / '),
      `${differ} of ${ids}`,
      notTies,
      ...Object.keys(TOLERANCE).map((name) => errors[name].toExponential(1)),
    ];
    console.log(`| ${preset} | ${cells.join(' | ')} |`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
