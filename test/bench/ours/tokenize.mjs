// Our tokenizing of a tar of PNGs as a contestant: the product's own job, from the archive's bytes to closed shards.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { saveModel } from '../../../dist/src/checkpoint/model.js';
import { setDefaultThreads } from '../../../dist/src/engine/node.js';
import { createParams, disposeParams, exportParams } from '../../../dist/src/model/params.js';
import { codecFamily } from '../../../dist/src/registry.js';
import { tokenize } from '../../../dist/src/sdk/tokenize.js';
import { timed } from './timed.mjs';

const DATA = process.env.TESSERAE_DATA ?? '../shared/data';
const PICTURES = 3233;

/** Sonnet's CIFAR-10 sizes at 64x64, random weights. */
export async function contestant({ threads }) {
  setDefaultThreads(threads);
  const folder = mkdtempSync(join(tmpdir(), 'tesserae-bench-'));
  const codec = join(folder, 'codec');
  const family = codecFamily('vqvae');
  const config = family.parseConfig({
    height: 64,
    width: 64,
    channels: 3,
    downsample: 4,
    hidden: 128,
    quantizer: { codebookSize: 512, codeDim: 64 },
  });
  const params = createParams({ ...family.trainable(config), ...family.state(config) }, 0);
  saveModel(codec, { kind: 'codec', name: 'vqvae', config, maps: family.maps(config) }, exportParams(params));
  disposeParams(params);
  const workers = Number(process.env.TESSERAE_BENCH_WORKERS ?? threads);
  const once = () =>
    tokenize({ data: join(DATA, 'emoji/noto-emoji-72.tar'), codec, out: join(folder, 'tokens'), workers, force: true });
  await once();
  return {
    name: `Tesserae, ${workers} workers`,
    work: PICTURES,
    unit: 'images',
    run: timed(once),
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}
