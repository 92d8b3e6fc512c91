// Models and data small enough to train in a test.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { memoryDataset } from '../../src/data/memory.js';
import { tf } from '../../src/engine/index.js';
import type { Image, Sample } from '../../src/interfaces/index.js';
import type { NamedTensors } from '../../src/checkpoint/tensors.js';
import { Codec } from '../../src/codec/codec.js';
import type { OpenOptions } from '../../src/codec/codec.js';
import { imageCore } from '../../src/media/image/core.js';
import type { CodecFamily } from '../../src/model/codec.js';
import { createParams, disposeParams, exportParams, importParams } from '../../src/model/params.js';
import type { ParamSpecs } from '../../src/model/params.js';
import { Rng } from '../../src/rng.js';

/** 8x8 gray to 4x4 codes of 16. */
export const TINY_CODEC = {
  height: 8,
  width: 8,
  channels: 1,
  downsample: 2,
  hidden: 8,
  residualLayers: 1,
  residualHidden: 4,
  quantizer: { codebookSize: 16, codeDim: 4 },
};

export const TINY_PRIOR = { nLayer: 1, nHead: 2, nEmbd: 16 };

/** A codec of pictures at work, with these weights. */
export function openFamily(
  family: CodecFamily,
  config: unknown,
  tensors: NamedTensors,
  fingerprint: string,
  options: OpenOptions = {},
): Codec {
  const params = importParams(family.name, { ...family.trainable(config), ...family.state(config) }, tensors);
  return new Codec({ family, config, medium: imageCore, params, fingerprint, ...options });
}

/** A deterministic picture: a bright square somewhere on a dark ground. */
export function picture(index: number, size = 8, channels: 1 | 3 = 1): Image {
  const rng = new Rng(index, 'test.picture');
  const pixels = new Uint8Array(size * size * channels).fill(rng.int(60));
  const [top, left] = [rng.int(size / 2), rng.int(size / 2)];
  const value = 120 + rng.int(130);
  for (let y = top; y < top + size / 2; y++)
    for (let x = left; x < left + size / 2; x++)
      pixels.fill(value, (y * size + x) * channels, (y * size + x + 1) * channels);
  return { kind: 'image', width: size, height: size, channels, pixels };
}

export const CLASSES = ['dim', 'bright'];

/** `count` pictures, a tenth or so held out, with captions and labels by brightness. */
export function tinyDataset(count = 40) {
  const samples = Array.from({ length: count }, (_, i): Sample => {
    const image = picture(i);
    const label = Math.max(...image.pixels) > 185 ? 1 : 0;
    return { key: `picture-${i}`, media: image, captions: [`a ${CLASSES[label]} square`], label };
  });
  return memoryDataset(samples, { classes: CLASSES });
}

/** Weights of a fresh model, without its variables. */
export function freshTensors(specs: ParamSpecs, seed = 0): NamedTensors {
  const params = createParams(specs, seed);
  const tensors = exportParams(params);
  disposeParams(params);
  return tensors;
}

/** A directory that goes with the test. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'tesserae-test-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Largest absolute difference of two tensors or arrays. */
export function maxDifference(a: tf.Tensor | ArrayLike<number>, b: tf.Tensor | ArrayLike<number>): number {
  const [left, right] = [a, b].map((x) => (x instanceof tf.Tensor ? x.dataSync() : x)) as [
    ArrayLike<number>,
    ArrayLike<number>,
  ];
  let largest = left.length === right.length ? 0 : Infinity;
  for (let i = 0; i < left.length; i++) largest = Math.max(largest, Math.abs(left[i]! - right[i]!));
  return largest;
}
