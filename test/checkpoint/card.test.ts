// Models as lists of files in memory: they are verified like a directory, whatever files a model brings.
import { beforeAll, describe, expect, it } from 'vitest';
import { openModelFiles, packModel } from '../../src/checkpoint/card.js';
import type { Extras, NewModelCard } from '../../src/checkpoint/card.js';
import type { NamedTensors } from '../../src/checkpoint/tensors.js';
import { loadModel, saveModel } from '../../src/checkpoint/model.js';
import { exportOnnx, importOnnx, tf } from '../../src/engine/index.js';
import { CorruptError } from '../../src/errors.js';
import { FaultyFiles } from '../support/faulty-files.js';

const CARD: NewModelCard = { kind: 'codec', name: 'external', config: { height: 4, width: 4 } };
const WEIGHTS: NamedTensors = { scale: { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) } };

/** The files of a model as they would be fetched. */
const bytesOf = (files: Extras): Record<string, Uint8Array> =>
  Object.fromEntries(
    Object.entries(files).map(([name, content]) => [
      name,
      typeof content === 'string' ? new TextEncoder().encode(content) : content,
    ]),
  );

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[bit >> 3]! ^= 1 << (bit & 7);
  return copy;
}

describe('a model whose network is an ONNX file, without weights of its own', () => {
  let network: Uint8Array;
  let files: Record<string, Uint8Array>;

  beforeAll(async () => {
    network = await exportOnnx((x: tf.Tensor) => tf.relu(tf.sub(x, 1)), [{ dtype: 'float32', shape: [2] }]);
    files = bytesOf(packModel(CARD, {}, { 'encoder.onnx': network }).files);
  });

  it('comes back with the very network', () => {
    const { card, tensors, extras } = openModelFiles(files, { kind: 'codec' });
    expect(card).toMatchObject(CARD);
    expect(tensors).toEqual({});
    expect(extras).toEqual({ 'encoder.onnx': network });
    expect(importOnnx(extras['encoder.onnx']!).inputs).toEqual([{ name: 'input', shape: [2] }]);
  });

  it('is the same model in a directory', () => {
    const disk = new FaultyFiles(['/d']);
    const card = saveModel('/d/m', CARD, {}, { 'encoder.onnx': network }, disk);
    const stored = loadModel('/d/m', { files: disk });
    expect(stored.card).toEqual(card);
    expect(openModelFiles(files)).toEqual(stored);
  });

  it('has another fingerprint with another network', () => {
    const { card } = openModelFiles(files);
    expect(packModel(CARD, {}, { 'encoder.onnx': flipped(network, 0) }).card.fingerprint).not.toBe(card.fingerprint);
    expect(packModel(CARD, {}).card.fingerprint).not.toBe(card.fingerprint);
  });

  it('is refused with any one bit of any of its files flipped', () => {
    for (const [name, bytes] of Object.entries(files)) {
      for (let bit = 0; bit < bytes.length * 8; bit++)
        expect(() => openModelFiles({ ...files, [name]: flipped(bytes, bit) })).toThrow(CorruptError);
    }
  });

  it('is refused when the network was replaced along with its hash in the card', () => {
    const other = packModel(CARD, {}, { 'encoder.onnx': flipped(network, 0) });
    const forged = packModel(CARD, {}, { 'encoder.onnx': network });
    expect(() =>
      openModelFiles({
        ...bytesOf(other.files),
        'model.json': bytesOf(forged.files)['model.json']!,
      }),
    ).toThrow(/E_MODEL_FILE model\/encoder\.onnx/);
  });
});

describe('files in memory are refused', () => {
  const files = bytesOf(packModel(CARD, WEIGHTS).files);

  it.each<[string, string, Record<string, Uint8Array>]>([
    ['without a card', 'E_NOT_A_MODEL', { 'model.safetensors': files['model.safetensors']! }],
    ['without a file that the card lists', 'E_MODEL_FILE', { 'model.json': files['model.json']! }],
    [
      'when a file is cut short',
      'E_MODEL_FILE',
      { ...files, 'model.safetensors': files['model.safetensors']!.subarray(1) },
    ],
    ['when the card is not JSON', 'E_JSON', { ...files, 'model.json': new TextEncoder().encode('<!doctype html>') }],
  ])('%s', (_, code, given) => {
    expect(() => openModelFiles(given, { where: 'https://example.org/shapes' })).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining('https://example.org/shapes') }),
    );
  });

  it('when they are of another kind than asked for', () => {
    expect(() => openModelFiles(files, { kind: 'prior' })).toThrow(/E_MODEL_KIND model: expected a prior/);
  });

  it('but not for files that the card does not list', () => {
    expect(openModelFiles({ ...files, 'README.md': Uint8Array.of(1) })).toEqual(openModelFiles(files));
  });
});
