import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { windowOf } from '../../../src/media/image/window.js';
import { noise } from './fixtures.js';

describe('windowOf', () => {
  it('takes each pixel from the nearest place of the image', () => {
    const at = fc.integer({ min: -6, max: 10 });
    const extent = fc.integer({ min: 1, max: 12 });
    fc.assert(
      fc.property(
        extent,
        extent,
        fc.constantFrom(1 as const, 3 as const),
        at,
        at,
        extent,
        extent,
        (w, h, channels, left, top, width, height) => {
          const image = noise(w, h, channels);
          const out = windowOf(image, { left, top, width, height });
          expect(out.pixels).toHaveLength(width * height * channels);
          for (let y = 0; y < height; y++) {
            for (let x = 0; x < width; x++) {
              const from =
                (Math.min(Math.max(top + y, 0), h - 1) * w + Math.min(Math.max(left + x, 0), w - 1)) * channels;
              expect([...out.pixels.subarray((y * width + x) * channels, (y * width + x + 1) * channels)]).toEqual([
                ...image.pixels.subarray(from, from + channels),
              ]);
            }
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('gives back the image itself for the whole of it', () => {
    const image = noise(5, 4);
    expect(windowOf(image, { left: 0, top: 0, width: 5, height: 4 })).toBe(image);
  });
});
