// Small feature networks, written as ONNX files.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exportOnnx, tf } from '../../src/engine/index.js';
import { temporaryDirectory } from '../support/tiny.js';

export interface NetworkShape {
  shape?: [batch: number, channels: number, height: number, width: number];
  /** Axes of the input that stay open. Default the batch. */
  open?: Record<number, string>;
}

type Network = (images: tf.Tensor4D) => tf.Tensor | tf.Tensor[];

/** A network as the bytes of its file. */
export function networkBytes(
  fn: Network,
  { shape = [2, 3, 8, 8], open = { 0: 'batch' } }: NetworkShape = {},
  outputNames?: string[],
): Promise<Uint8Array> {
  return exportOnnx(fn as never, [{ dtype: 'float32', shape }], {
    inputNames: ['images'],
    outputNames,
    dynamicAxes: { images: open },
  });
}

/** Writes a network and gives the path. It goes with the test. */
export async function writeNetwork(fn: Network, shape?: NetworkShape, outputNames?: string[]): Promise<string> {
  const path = join(temporaryDirectory(), 'network.onnx');
  writeFileSync(path, await networkBytes(fn, shape, outputNames));
  return path;
}

/** [B, 3, H, W] -> [B, 3]: the mean of each color. */
export const colors = (images: tf.Tensor4D): tf.Tensor => tf.mean(images, [2, 3]);

/** [B, 3, H, W] -> the same: maps as features, whose means are those of {@link colors}. */
export const maps = (images: tf.Tensor4D): tf.Tensor => tf.mul(images, 1);
