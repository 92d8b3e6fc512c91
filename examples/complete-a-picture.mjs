// Continues the upper half of an image in several ways.
//
//   node examples/complete-a-picture.mjs PRIOR IMAGE ["a prompt"]
import { generate, writeGenerated } from 'tesserae';

const [prior, image, prompt] = process.argv.slice(2);
if (!prior || !image) throw new Error('usage: complete-a-picture.mjs PRIOR IMAGE ["a prompt"]');

const generated = await generate({
  prior,
  prompts: [prompt ?? null],
  prime: { sample: image },
  sampling: { n: 8, seed: 1 },
  onProgress: (done) => process.stderr.write(`\r${Math.round(100 * done)} %`),
});
process.stderr.write('\n');
console.log('written:', await writeGenerated('completions.png', generated, { scale: 4 }));
