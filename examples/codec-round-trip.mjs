// A picture to tokens and back, and what was lost.
//
//   node examples/codec-round-trip.mjs CODEC PICTURE
import { readFileSync, writeFileSync } from 'node:fs';
import { decodeImage, encodePng, imageGrid, loadCodec, psnr } from 'tesserae';

const [directory, path] = process.argv.slice(2);
if (!directory || !path) throw new Error('usage: codec-round-trip.mjs CODEC PICTURE');

const codec = await loadCodec(directory);
const tokens = await codec.encode(await decodeImage(readFileSync(path), path));
for (const { name, grid, levels, vocabSize, ids } of tokens.maps) {
  console.log(
    `${name}: [${grid.join(', ')}] with ${levels} of ${vocabSize} codes at each position, the first: ${[...ids.subarray(0, 8)].join(' ')}`,
  );
}

const back = /** @type {import('tesserae').Image} */ (await codec.decode(tokens));
const original = await decodeImage(readFileSync(path), path, {
  size: { width: back.width, height: back.height },
  channels: back.channels,
  resize: 'contain',
});
console.log(`PSNR ${psnr(original.pixels, back.pixels, 255).toFixed(2)} dB`);
writeFileSync('round-trip.png', await encodePng(imageGrid([original, back], { scale: 4 })));
codec.dispose();
