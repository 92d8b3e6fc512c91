// Quality of reconstructed images over a whole dataset, one batch at a time.
import { ShapeError, UsageError } from '../errors.js';
import { sizeOf } from '../shape.js';
import { NmseMeter, mse, psnrOfMse } from './error.js';
import { ssim } from './ssim.js';

export interface ReconstructionQuality {
  /** Number of images measured. */
  samples: number;
  /** Over the whole dataset, on the codec's unclipped output; see {@link nmse}. */
  nmse: number;
  /** Mean over images, in dB. */
  psnr: number;
  /** Mean over images; see {@link ssim}. */
  ssim: number;
  /**
   * Mean difference of neighboring values, relative to the originals: below 1 for blurred images, above 1 for noisy
   * ones.
   */
  sharpness: number;
}

/** Maximum PSNR in dB. A perfectly reconstructed image has no finite PSNR and counts as this much in a mean. */
export const PSNR_LIMIT = 100;

/**
 * Compares reconstructions with originals, in memory that does not grow with the dataset.
 *
 * PSNR, SSIM and sharpness are computed on reconstructions clipped to [-1, 1], as an image shows them. NMSE is computed
 * on the unclipped values, like the training loss.
 */
export class ReconstructionMeter {
  private readonly nmse = new NmseMeter();
  private samples = 0;
  private psnrSum = 0;
  private ssimSum = 0;
  private readonly contrast = { originals: 0, reconstructions: 0 };

  /**
   * Adds a batch.
   *
   * @param originals       float32 [B, H, W, C] in [-1, 1].
   * @param reconstructions float32 [B, H, W, C].
   * @param shape           [B, H, W, C]; H, W and C may differ between batches.
   * @throws {ShapeError} E_METRIC_SIZE when an array does not match the shape.
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
    this.nmse.add(originals, reconstructions);
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

  /** @throws {UsageError} E_METRIC_EMPTY if no image has been measured. */
  result(): ReconstructionQuality {
    if (this.samples === 0) {
      throw new UsageError('E_METRIC_EMPTY', 'ReconstructionMeter.result: expected at least one image, received none.');
    }
    return {
      samples: this.samples,
      nmse: this.nmse.result(),
      psnr: this.psnrSum / this.samples,
      ssim: this.ssimSum / this.samples,
      sharpness: this.contrast.originals > 0 ? this.contrast.reconstructions / this.contrast.originals : 1,
    };
  }
}

/** Returns the sum of the absolute differences between each value of [H, W, C] and its right and lower neighbors. */
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
