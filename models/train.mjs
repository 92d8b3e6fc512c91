// Trains the bundled models, as models/README.md describes.
//
//   node models/train.mjs DATA OUT [STAGE...]
//
// DATA as for prepare.mjs; OUT gets the prepared data, the runs and the finished models. Without stages, all of them run, in
// the order below. A stage that was interrupted goes on where it was.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { saveModel } from 'tesserae';
import { loadModel } from '../dist/src/checkpoint/model.js';
import { roundToHalf } from '../dist/src/checkpoint/half.js';

const [data, out, ...wanted] = process.argv.slice(2);
if (!data || !out) throw new Error('usage: train.mjs DATA OUT [STAGE...]');

/** What the cards say of data and licenses; models/README.md has more. */
const ABOUT = {
  data: 'Open Clip Art Library 0.18 (public domain), Noto Emoji (Apache-2.0), tiles of Dungeon Crawl Stone Soup (CC0)',
  license: 'Apache-2.0, as the package',
  made: 'node models/train.mjs',
};

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const at = (...path) => join(out, ...path);

const stages = {
  data: () => node(here('prepare.mjs'), data, at('data')),
  'icons-64': () => train('codec', 'icons-64', ['--data', at('data/all')]),
};

for (const stage of wanted.length > 0 ? wanted : Object.keys(stages)) stages[stage]();

/** Trains a model with the settings beside this file, and stores its weights in half precision. */
function train(kind, name, inputs) {
  const run = at('runs', name);
  const resume = existsSync(run) ? ['--resume'] : [];
  tesserae('train', kind, ...inputs, '--config', here(`${name}.json`), '--out', run, ...resume);
  const { card, tensors, extras } = loadModel(run);
  const { format: _format, formatVersion: _version, fingerprint: _fingerprint, files: _files, ...rest } = card;
  const training = { ...rest.training, bundled: ABOUT };
  saveModel(at('models', name), { ...rest, training }, roundToHalf(tensors), extras);
}

function tesserae(...args) {
  node(here('../dist/src/cli/main.js'), ...args);
}

function node(...args) {
  execFileSync(process.execPath, args, { stdio: 'inherit' });
}
