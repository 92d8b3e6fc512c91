// How images are brought to the pixel values that a feature network was trained on.
import { UsageError } from '../errors.js';

/** Scale and shift of each channel, for pixels in [-1, 1]: value * scale + shift. */
export interface PixelScale {
  scale: [red: number, green: number, blue: number];
  shift: [red: number, green: number, blue: number];
}

const uniform = (scale: number, shift: number): PixelScale => ({
  scale: [scale, scale, scale],
  shift: [shift, shift, shift],
});

/** From [-1, 1] to [0, 1] and from there to zero mean and unit deviation. */
const normalized = (mean: readonly number[], deviation: readonly number[]): PixelScale => ({
  scale: deviation.map((one) => 0.5 / one) as PixelScale['scale'],
  shift: mean.map((one, i) => (0.5 - one) / deviation[i]!) as PixelScale['shift'],
});

/** The pixel values that networks expect: [-1, 1], [0, 1], [0, 255], or [0, 1] normalized by the mean and deviation of ImageNet's colors. */
const SCALINGS = {
  signed: uniform(1, 0),
  unit: uniform(0.5, 0.5),
  byte: uniform(127.5, 127.5),
  imagenet: normalized([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
} as const satisfies Record<string, PixelScale>;

export type FeatureScaling = keyof typeof SCALINGS;

export const FEATURE_SCALINGS = Object.keys(SCALINGS) as FeatureScaling[];

/** The scaling of most published networks. */
export const DEFAULT_SCALING: FeatureScaling = 'imagenet';

/** @throws {UsageError} E_FEATURES naming the scalings there are. */
export function pixelScale(scaling: string): PixelScale {
  if (!Object.hasOwn(SCALINGS, scaling))
    throw new UsageError(
      'E_FEATURES',
      `feature scaling: expected one of ${FEATURE_SCALINGS.join(', ')}, received "${scaling}".`,
    );
  return SCALINGS[scaling as FeatureScaling];
}
