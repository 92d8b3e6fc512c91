// The upper half of a picture, continued in several ways.
//
//   node examples/complete-a-picture.mjs PRIOR PICTURE ["a prompt"]
import { generate, primeCodes, writeImages } from 'tesserae';

const [prior, picture, prompt] = process.argv.slice(2);
if (!prior || !picture) throw new Error('usage: complete-a-picture.mjs PRIOR PICTURE ["a prompt"]');

const prime = await primeCodes({ prior, picture });
const { images } = await generate({
  prior,
  prompts: [prompt ?? null],
  sampling: { n: 8, prime, seed: 1, onProgress: (done) => process.stderr.write(`\r${Math.round(100 * done)} %`) },
});
process.stderr.write('\n');
console.log('written:', await writeImages('completions.png', images, { scale: 4 }));
