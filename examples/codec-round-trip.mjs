// Encodes an image into tokens, decodes them, and measures the loss.
//
//   node examples/codec-round-trip.mjs CODEC IMAGE
import { readFileSync } from 'node:fs';
import { decodeImage, imageMedium, loadCodec, psnr, writeMedia } from 'tesserae';

const [directory, path] = process.argv.slice(2);
if (!directory || !path) throw new Error('usage: codec-round-trip.mjs CODEC IMAGE');

const codec = await loadCodec(directory, { medium: imageMedium });
const tokens = await codec.encode(await decodeImage(readFileSync(path), path));
for (const { name, grid, levels, vocabSize, ids } of tokens.maps) {
  console.log(
    `${name}: [${grid.join(', ')}] with ${levels} of ${vocabSize} codes at each position, the first: ${[...ids.subarray(0, 8)].join(' ')}`,
  );
}

const back = await codec.decode(tokens);
const original = await decodeImage(readFileSync(path), path, {
  size: { width: back.width, height: back.height },
  channels: back.channels,
  resize: 'contain',
});
console.log(`PSNR ${psnr(original.pixels, back.pixels, 255).toFixed(2)} dB`);
await writeMedia('round-trip.png', [original, back], { scale: 4, force: true });
codec.dispose();
