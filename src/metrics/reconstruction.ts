// Quality of reconstructed pictures over a whole set, one batch at a time.
import { ShapeError, UsageError } from '../errors.js';
import { sizeOf } from '../shape.js';
import { Moments, mse, normalizedBy, psnrOfMse, squaredError } from './error.js';
import { ssim } from './ssim.js';

export interface ReconstructionQuality {
  /** Pictures measured. */
  samples: number;
  /** See {@link nmse}: over the whole set, on the reconstruction as the codec gives it. */
  nmse: number;
  /** dB, the mean over pictures. */
  psnr: number;
  /** The mean over pictures; see {@link ssim}. */
  ssim: number;
  /** Mean difference of neighboring values, over that of the originals: below 1 for blurred pictures, above 1 for noisy ones. */
  sharpness: number;
}

/** A picture that comes back exactly has no finite PSNR; in a mean it counts as this many dB. */
export const PSNR_LIMIT = 100;

/**
 * Measures reconstructions against originals, in memory that does not grow with the set.
 *
 * PSNR, SSIM and sharpness see the reconstruction limited to [-1, 1], as a picture shows it; NMSE sees it as it is, as the training
 * loss does.
 */
export class ReconstructionMeter {
  private readonly moments = new Moments();
  private samples = 0;
  private error = 0;
  private psnrSum = 0;
  private ssimSum = 0;
  private readonly contrast = { originals: 0, reconstructions: 0 };

  /**
   * @param originals       float32 [B, H, W, C] in [-1, 1].
   * @param reconstructions float32 [B, H, W, C].
   * @param shape           [B, H, W, C]; H, W and C may differ from batch to batch.
   * @throws {ShapeError} E_METRIC_SIZE when an array does not have the size of the shape.
   */
  add(originals: Float32Array, reconstructions: Float32Array, shape: readonly [number, number, number, number]): void {
    const size = sizeOf(shape);
    for (const values of [originals, reconstructions]) {
      if (values.length !== size) {
        const expected = `${size} values for [${shape.join(', ')}]`;
        throw new ShapeError(
          'E_METRIC_SIZE',
          `ReconstructionMeter.add: expected ${expected}, received ${values.length}.`,
        );
      }
    }
    const [batch, height, width, channels] = shape;
    const stride = height * width * channels;
    this.moments.add(originals);
    this.error += squaredError(originals, reconstructions);
    for (let start = 0; start < batch * stride; start += stride) {
      const original = originals.subarray(start, start + stride);
      const shown = limited(reconstructions.subarray(start, start + stride));
      this.psnrSum += Math.min(PSNR_LIMIT, psnrOfMse(mse(original, shown)));
      this.ssimSum += ssim(original, shown, [height, width, channels]);
      this.contrast.originals += contrastOf(original, [height, width, channels]);
      this.contrast.reconstructions += contrastOf(shown, [height, width, channels]);
    }
    this.samples += batch;
  }

  /** @throws {UsageError} E_METRIC_EMPTY before the first picture. */
  result(): ReconstructionQuality {
    if (this.samples === 0) {
      throw new UsageError(
        'E_METRIC_EMPTY',
        'ReconstructionMeter.result: expected at least one picture, received none.',
      );
    }
    return {
      samples: this.samples,
      nmse: normalizedBy(this.error / this.moments.count, this.moments.variance),
      psnr: this.psnrSum / this.samples,
      ssim: this.ssimSum / this.samples,
      sharpness: this.contrast.originals > 0 ? this.contrast.reconstructions / this.contrast.originals : 1,
    };
  }
}

/** Sum of the absolute differences of values [H, W, C] to those right of and below them. */
function contrastOf(values: Float32Array, [height, width, channels]: readonly [number, number, number]): number {
  let sum = 0;
  const row = width * channels;
  for (let y = 0; y < height; y++) {
    for (let at = y * row; at < (y + 1) * row; at++) {
      if (at + channels < (y + 1) * row) sum += Math.abs(values[at + channels]! - values[at]!);
      if (y + 1 < height) sum += Math.abs(values[at + row]! - values[at]!);
    }
  }
  return sum;
}

function limited(values: Float32Array): Float32Array {
  const out = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) out[i] = Math.min(1, Math.max(-1, values[i]!));
  return out;
}
