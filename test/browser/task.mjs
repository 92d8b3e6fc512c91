// What the same program does in Node.js, in Node.js without its modules, and in a browser.
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
