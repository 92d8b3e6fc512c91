// Encoding as a contestant: pictures in memory, float32, to ids on the host.
import { hostValues, tf } from '../../../dist/src/engine/node.js';
import { codecOf, compiledEncoder, randomImages } from './codec.mjs';
import { timed } from './timed.mjs';

const BATCH = 16;

export async function contestant({ threads, preset }) {
  const codec = codecOf(preset);
  const encoder = compiledEncoder(codec, threads);
  const pictures = randomImages(codec.config, BATCH);
  const once = async () => {
    const maps = await encoder(pictures);
    for (const map of maps) hostValues(map);
    tf.dispose(maps);
  };
  for (let i = 0; i < 3; i++) await once();
  return {
    name: 'Tesserae',
    work: BATCH,
    unit: 'images',
    details: { threads },
    run: timed(once),
    close: () => encoder.dispose(),
  };
}
