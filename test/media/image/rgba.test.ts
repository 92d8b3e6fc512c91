import { describe, expect, it } from 'vitest';
import type { Image } from '../../../src/interfaces/media.js';
import { fromRgba, toRgba } from '../../../src/media/image/rgba.js';

describe('pixels of a canvas', () => {
  it('become an image, with transparent pixels laid over the background', () => {
    const data = Uint8ClampedArray.of(10, 20, 30, 255, 0, 0, 0, 0, 255, 0, 0, 51);
    expect(fromRgba({ width: 3, height: 1, data })).toEqual({
      kind: 'image',
      width: 3,
      height: 1,
      channels: 3,
      // A fifth of red over white.
      pixels: Uint8Array.of(10, 20, 30, 255, 255, 255, 255, 204, 204),
    });
    expect([...fromRgba({ width: 3, height: 1, data }, [0, 0, 255]).pixels.subarray(3, 6)]).toEqual([0, 0, 255]);
  });

  it('are read from the part of a buffer that they are a view of', () => {
    const data = new Uint8ClampedArray(12).fill(255).subarray(4, 8);
    data.set([1, 2, 3]);
    expect([...fromRgba({ width: 1, height: 1, data }).pixels]).toEqual([1, 2, 3]);
  });

  it('come back from an image, opaque', () => {
    const picture: Image = { kind: 'image', width: 2, height: 1, channels: 3, pixels: Uint8Array.of(1, 2, 3, 4, 5, 6) };
    const rgba = toRgba(picture);
    expect([...rgba]).toEqual([1, 2, 3, 255, 4, 5, 6, 255]);
    expect(fromRgba({ ...picture, data: rgba })).toEqual(picture);
  });

  it('of a gray image have equal colors', () => {
    expect([...toRgba({ kind: 'image', width: 1, height: 1, channels: 1, pixels: Uint8Array.of(9) })]).toEqual([
      9, 9, 9, 255,
    ]);
  });

  it('are refused when they are too few', () => {
    expect(() => fromRgba({ width: 2, height: 1, data: new Uint8ClampedArray(4) })).toThrow(
      /E_IMAGE_SHAPE fromRgba: expected 2 x 1 x 4 values, received 4/,
    );
  });
});
