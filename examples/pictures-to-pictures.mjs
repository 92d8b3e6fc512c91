// The four jobs as functions: train a codec, tokenize, train a prior, generate.
//
//   node examples/pictures-to-pictures.mjs out/ [steps]
import { generate, memoryDataset, tokenize, trainCodec, trainPrior, writeGenerated } from 'tesserae';

const [out = 'example-out', steps = '300'] = process.argv.slice(2);

/** @type {Record<string, [red: number, green: number, blue: number]>} */
const COLORS = { red: [220, 50, 40], green: [60, 180, 70], blue: [50, 90, 220] };

/**
 * A colored disc of radius 4 to 12 on black.
 *
 * @param {string} color
 * @param {number} radius
 * @returns {import('tesserae').Image}
 */
function disc(color, radius) {
  const pixels = new Uint8Array(32 * 32 * 3);
  for (let y = 0; y < 32; y++) {
    for (let x = 0; x < 32; x++)
      if (Math.hypot(x - 15.5, y - 15.5) < radius) pixels.set(COLORS[color], (y * 32 + x) * 3);
  }
  return { kind: 'image', width: 32, height: 32, channels: 3, pixels };
}

const samples = Array.from({ length: 300 }, (_, i) => {
  const color = Object.keys(COLORS)[i % 3];
  const radius = 4 + ((i * 7) % 80) / 10;
  return {
    key: `disc-${i}`,
    media: disc(color, radius),
    captions: [`a ${radius < 8 ? 'small' : 'large'} ${color} disc`],
  };
});
// A folder of images, a WebDataset .tar or MNIST-style files are given by their path instead.
const data = memoryDataset(samples);

const codec = await trainCodec({ data, out: `${out}/codec`, preset: 'shapes', steps: Number(steps) });
console.log('codec, held out:', codec.metrics);

const { samples: counts } = await tokenize({ data, codec: `${out}/codec`, out: `${out}/tokens` });
console.log('tokenized:', counts);

const prior = await trainPrior({
  tokens: `${out}/tokens`,
  out: `${out}/prior`,
  preset: 'shapes',
  steps: Number(steps),
});
console.log('prior, held out:', prior.metrics);

const generated = await generate({
  prior: `${out}/prior`,
  prompts: ['a small red disc', 'a large blue disc'],
  sampling: { n: 4, topP: 0.95 },
});
console.log('written:', await writeGenerated(`${out}/discs.png`, generated, { scale: 4 }));
