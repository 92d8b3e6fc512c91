// Networks of image features and discriminators take images alone: batches [B, rows, columns, 1 or 3].
import type { tf } from '../engine/index.js';
import { UsageError } from '../errors.js';

type BatchShape = [batch: number, rows: number, columns: number, channels: number];

/**
 * The shape of a batch, if its samples are images.
 *
 * @param what names what needs images, for the error.
 * @throws {UsageError} E_NOT_IMAGES.
 */
export function imageShape(what: string, shape: readonly number[]): BatchShape {
  const [batch, rows, columns, channels] = shape;
  const isImage = shape.length === 4 && (channels === 1 || channels === 3);
  if (isImage && batch !== undefined && rows !== undefined && columns !== undefined)
    return [batch, rows, columns, channels];
  throw new UsageError(
    'E_NOT_IMAGES',
    `${what}: expected samples [rows, columns, 1 or 3], received [${shape.slice(1).join(', ')}]. It works for images only; leave it out.`,
  );
}

/** The same batch as a tensor of images. @throws {UsageError} E_NOT_IMAGES. */
export function imageBatch(what: string, batch: tf.Tensor): tf.Tensor4D {
  imageShape(what, batch.shape);
  return batch as tf.Tensor4D;
}
