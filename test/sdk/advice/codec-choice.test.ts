import { describe, expect, it } from 'vitest';
import { chooseCodec } from '../../../src/sdk/advice/codec-choice.js';
import type { PictureSurvey } from '../../../src/sdk/advice/pictures.js';
import { codecFamily } from '../../../src/registry.js';

const DRAWINGS: PictureSurvey = {
  count: { train: 3000, test: 300 },
  width: 128,
  height: 128,
  sameSize: true,
  sameAspect: true,
  gray: false,
  border: 'light',
};

const chosen = (survey: Partial<PictureSurvey>) => {
  const { settings, ...rest } = chooseCodec({ ...DRAWINGS, ...survey });
  return { ...settings, ...rest };
};

describe('the settings that are picked for images', () => {
  it('take small images of one size as they are', () => {
    const survey = {
      gray: true,
      width: 28,
      height: 28,
      border: 'dark' as const,
      count: { train: 60_000, test: 10_000 },
    };
    const { config, training } = chosen(survey);
    expect(config).toMatchObject({ height: 28, width: 28, channels: 1, background: [0, 0, 0], downsample: 4 });
    expect(config.quantizer.codebookSize).toBe(128);
    expect(training).toMatchObject({ steps: 3000, batchSize: 64 });
    expect(chosen({ width: 48, height: 32 }).config).toMatchObject({ height: 32, width: 48 });
  });

  it('bring others to a multiple of 8 near their median, and at most to 64', () => {
    expect(chosen({}).config).toMatchObject({ height: 64, width: 64, channels: 3 });
    const mixed = { sameSize: false, sameAspect: false };
    expect(chosen({ ...mixed, width: 45, height: 31 }).config).toMatchObject({
      height: 48,
      width: 48,
      resize: 'contain',
    });
    expect(chosen({ ...mixed, width: 45, height: 31, border: 'none' }).config).toMatchObject({
      width: 32,
      resize: 'cover',
    });
    expect(chosen({ width: 640, height: 360, sameSize: false }).config).toMatchObject({
      height: 40,
      width: 64,
      resize: 'cover',
    });
    expect(chosen({ width: 5, height: 5 }).config).toMatchObject({ height: 16, width: 16 });
  });

  it('leave 49 to 256 codes', () => {
    for (const side of [16, 20, 24, 28, 32, 40, 48, 56, 64]) {
      const { config } = chosen({ width: side, height: side });
      const codes = (config.height / config.downsample) * (config.width / config.downsample);
      expect(codes).toBeGreaterThanOrEqual(49);
      expect(codes).toBeLessThanOrEqual(256);
    }
  });

  it('have a larger vocabulary for more images', () => {
    const sizes = [300, 5000, 50_000].map(
      (train) => chosen({ count: { train, test: 30 } }).config.quantizer.codebookSize,
    );
    expect(sizes).toEqual([256, 512, 1024]);
  });

  it('train less on few images, and warn', () => {
    const few = chosen({ count: { train: 90, test: 10 } });
    expect(few.training.steps).toBe(800);
    expect(few.warnings).toEqual([expect.stringMatching(/^90 training images are few: .* Remedy: add images/)]);
    expect(few.reasons.at(-1)).toBe('800 steps of 16 images, 150 passes over them');
    expect(chosen({}).warnings).toEqual([]);
    expect(chosen({}).reasons.at(-1)).toBe('2,500 steps of 16 images');
  });

  it('are those of a codec, for every survey', () => {
    for (const width of [3, 17, 28, 33, 64, 500, 4000])
      for (const height of [3, 28, 100, 3000])
        for (const [gray, sameAspect, sameSize] of [
          [true, true, true],
          [false, true, false],
          [false, false, false],
        ] as const) {
          const { codec, config } = chosen({ width, height, gray, sameAspect, sameSize });
          expect(() => codecFamily(codec).parseConfig(config)).not.toThrow();
        }
  });
});
