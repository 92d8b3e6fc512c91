// What is done with the example models through every entry: in Node.js, with the browser entry in Node.js, and in a
// browser.
export const PROMPTS = ['a red circle', 'a blue square'];
export const SAMPLING = { seed: 7, temperature: 1, topK: 20 };

/** A red disk on a white ground with a transparent corner, as the pixels of a canvas: 40 x 32. */
export function drawing() {
  const [width, height] = [40, 32];
  const data = new Uint8ClampedArray(width * height * 4);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      const inside = (x - 18) ** 2 + (y - 16) ** 2 < 90;
      data.set([inside ? 220 : 255, inside ? 30 : 255, inside ? 40 : 255, x + y < 8 ? 0 : 255], at);
    }
  }
  return { width, height, data };
}

/** Encodes and decodes a picture, then generates pictures; everything comes back as arrays of numbers. */
export async function perform(codec, prior, picture) {
  const tokens = await codec.encode(picture);
  const generated = await prior.generate(PROMPTS, SAMPLING);
  const idsOf = ({ maps }) => maps.map(({ ids }) => [...ids]);
  const pictures = await codec.decode([tokens, ...generated]);
  return {
    ids: [tokens, ...generated].map(idsOf),
    pictures: pictures.map(({ pixels }) => [...pixels]),
  };
}
