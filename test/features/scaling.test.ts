import { describe, expect, it } from 'vitest';
import { FEATURE_SCALINGS, pixelScale } from '../../src/features/scaling.js';

/** What black, middle and white become in a channel. */
const ends = (scaling: string, channel = 0): number[] => {
  const { scale, shift } = pixelScale(scaling);
  return [-1, 0, 1].map((value) => value * scale[channel]! + shift[channel]!);
};

describe('pixelScale', () => {
  it('brings [-1, 1] to the range a network was trained on', () => {
    expect(ends('signed')).toEqual([-1, 0, 1]);
    expect(ends('unit')).toEqual([0, 0.5, 1]);
    expect(ends('byte')).toEqual([0, 127.5, 255]);
  });

  it('normalizes by the colors of ImageNet, channel by channel', () => {
    for (const [channel, mean, deviation] of [
      [0, 0.485, 0.229],
      [1, 0.456, 0.224],
      [2, 0.406, 0.225],
    ] as const) {
      const expected = [0, 0.5, 1].map((value) => expect.closeTo((value - mean) / deviation, 12) as number);
      expect(ends('imagenet', channel)).toEqual(expected);
    }
  });

  it('refuses a name it does not know, the inherited ones too', () => {
    expect(FEATURE_SCALINGS).toContain('imagenet');
    for (const name of ['caffe', 'toString'])
      expect(() => pixelScale(name)).toThrow(
        /E_FEATURES feature scaling: expected one of signed, unit, byte, imagenet, received/,
      );
  });
});
