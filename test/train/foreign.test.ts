// Networks of others that do harm: each ends in a typed error, soon, and takes no memory of this process.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { importOnnx, tf } from '../../src/engine/index.js';
import { TesseraeError } from '../../src/errors.js';
import type { Image } from '../../src/interfaces/index.js';
import { Rng } from '../../src/rng.js';
import { FeatureExtractor } from '../../src/features/extractor.js';
import { picture, temporaryDirectory } from '../support/tiny.js';
import { colors, networkBytes } from '../features/networks.js';

/** A field of a protocol buffer: text, bytes or a message as bytes, or a whole number. */
function field(number: number, value: string | Uint8Array | number): Buffer {
  if (typeof value === 'number') return Buffer.concat([varint(number << 3), varint(value)]);
  const bytes = Buffer.from(value as string);
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}

const port = (name: string, extents: readonly number[], type = 1): Buffer =>
  Buffer.concat([
    field(1, name),
    field(
      2,
      field(
        1,
        Buffer.concat([field(1, type), field(2, Buffer.concat(extents.map((extent) => field(1, field(1, extent)))))]),
      ),
    ),
  ]);
const node = (op: string, inputs: readonly string[], outputs: readonly string[], ...attributes: Buffer[]): Buffer =>
  field(
    1,
    Buffer.concat([
      ...inputs.map((name) => field(1, name)),
      ...outputs.map((name) => field(2, name)),
      field(4, op),
      ...attributes.map((one) => field(5, one)),
    ]),
  );
const constant = (name: string, type: number, values: readonly number[], dims = [values.length]): Buffer =>
  field(
    5,
    Buffer.concat([
      ...dims.map((extent) => field(1, extent)),
      field(2, type),
      ...values.map((value) => field(7, value)),
      field(8, name),
    ]),
  );
const model = (...graph: Buffer[]): Buffer =>
  Buffer.concat([field(1, 8), field(7, Buffer.concat(graph)), field(8, Buffer.concat([field(1, ''), field(2, 17)]))]);
const pictures = field(11, port('x', [1, 3, 8, 8]));

/** A loop whose body does nothing, for as good as ever. */
const endless = model(
  pictures,
  constant('count', 7, [2 ** 40], []),
  node(
    'Loop',
    ['count', '', 'x'],
    ['y'],
    Buffer.concat([
      field(1, 'body'),
      field(20, 5),
      field(
        6,
        Buffer.concat([
          node('Identity', ['state'], ['next']),
          node('Identity', ['goes'], ['on']),
          field(2, 'body'),
          field(11, port('i', [], 7)),
          field(11, port('goes', [], 9)),
          field(11, port('state', [1, 3, 8, 8])),
          field(12, port('on', [], 9)),
          field(12, port('next', [1, 3, 8, 8])),
        ]),
      ),
    ]),
  ),
  field(2, 'g'),
  field(12, port('y', [1, 3, 8, 8])),
);

/** Four numbers that say: a tensor of 3 GB. */
const huge = model(
  pictures,
  constant('extents', 7, [1, 3, 16384, 16384]),
  node('Shape', ['x'], ['s']),
  node('Sub', ['s', 's'], ['zero']),
  node('Add', ['zero', 'extents'], ['shape']),
  node('ConstantOfShape', ['shape'], ['large']),
  node('ReduceMean', ['large'], ['mean'], Buffer.concat([field(1, 'axes'), field(8, 2), field(8, 3), field(20, 7)])),
  node('ReduceMean', ['x'], ['own'], Buffer.concat([field(1, 'axes'), field(8, 2), field(8, 3), field(20, 7)])),
  node('Add', ['mean', 'own'], ['y']),
  field(2, 'g'),
  field(12, port('y', [1, 3, 1, 1])),
);

async function outcomeOf(bytes: Uint8Array): Promise<unknown> {
  const path = join(temporaryDirectory(), 'network.onnx');
  writeFileSync(path, bytes);
  const images: Image[] = [picture(1, 8, 3)];
  let extractor: FeatureExtractor | undefined;
  try {
    extractor = await FeatureExtractor.open(path, { scaling: 'signed' });
    return await extractor.features(images);
  } catch (error) {
    return error;
  } finally {
    await extractor?.dispose();
  }
}

describe('a network for features', () => {
  it('with a loop is refused, wherever the loop is', async () => {
    expect(await outcomeOf(endless)).toMatchObject({
      code: 'E_ONNX_LOOP',
      exitCode: 3,
      message: expect.stringContaining('found the operator Loop') as string,
    });
    const within = model(
      pictures,
      node(
        'If',
        ['c'],
        ['y'],
        Buffer.concat([field(1, 'then_branch'), field(20, 5), field(6, node('Scan', ['x'], ['z']))]),
      ),
      field(12, port('y', [1, 3, 8, 8])),
    );
    expect(await outcomeOf(within)).toMatchObject({
      code: 'E_ONNX_LOOP',
      message: expect.stringContaining('found the operator Scan') as string,
    });
    const inFunction = Buffer.concat([
      model(pictures, field(12, port('x', [1, 3, 8, 8]))),
      field(25, field(7, field(4, 'Loop'))),
    ]);
    expect(await outcomeOf(inFunction)).toMatchObject({ code: 'E_ONNX_LOOP' });
  });

  it('that takes memory out of proportion is ended, and this process takes none', async () => {
    const before = process.memoryUsage().rss;
    const begun = performance.now();
    expect(await outcomeOf(huge)).toMatchObject({
      code: 'E_FEATURES_LIMIT',
      exitCode: 3,
      message: expect.stringContaining('takes more memory') as string,
    });
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(200e6);
  });

  it('still gives its features', async () => {
    expect(await outcomeOf(await networkBytes(colors, { shape: [1, 3, 8, 8] }))).toHaveLength(1);
  });
});

describe('a network to be rebuilt for training', () => {
  it('that pads images beyond all measure is refused', () => {
    const pads = model(
      pictures,
      constant('pads', 7, [0, 0, 20_000, 20_000, 0, 0, 20_000, 20_000]),
      node('Pad', ['x', 'pads'], ['y']),
      field(2, 'g'),
      field(12, port('y', [])),
    );
    const network = importOnnx(pads, 'pads.onnx');
    const input = tf.zeros([1, 3, 8, 8]);
    expect(() => network.prepare()(input)).toThrow(expect.objectContaining({ code: 'E_IMPORT_SIZE' }));
    input.dispose();
  });

  it('with a tensor of thousands of extents is refused', () => {
    const many = model(
      pictures,
      field(
        5,
        Buffer.concat([field(1, Buffer.alloc(200_000, 1)), field(2, 1), field(4, Buffer.alloc(4)), field(8, 'w')]),
      ),
      node('Mul', ['x', 'w'], ['y']),
      field(12, port('y', [])),
    );
    expect(() => importOnnx(many, 'many.onnx')).toThrow(expect.objectContaining({ code: 'E_ONNX_FILE' }));
  });

  it('survives two thousand mutants, every failure typed', async () => {
    const weights = Array.from({ length: 3 * 4 * 9 }, (_, i) => Math.sin(i));
    const network = (x: tf.Tensor4D): tf.Tensor => {
      const filter = tf.tensor4d(weights, [3, 3, 3, 4]);
      const maps = tf.maxPool(
        tf.relu(tf.conv2d(tf.transpose(x, [0, 2, 3, 1]) as tf.Tensor4D, filter, 1, 'same')),
        2,
        2,
        'valid',
      );
      return tf.mean(tf.softmax(tf.reshape(maps, [-1, 16, 4])), 1);
    };
    const files = [
      await networkBytes(network, { shape: [1, 3, 8, 8], open: {} }),
      await networkBytes(colors, { shape: [1, 3, 8, 8] }),
    ];
    const surprises: string[] = [];
    let ran = 0;
    for (let i = 0; i < 2000; i++) {
      const rng = new Rng(5, 'test/onnx-mutants', i);
      const whole = files[i % files.length]!;
      const mutant = Uint8Array.from(whole.subarray(0, rng.int(8) === 0 ? rng.int(whole.length) : whole.length));
      for (let n = 1 + rng.int(3); n > 0 && mutant.length > 0; n--) mutant[rng.int(mutant.length)] = rng.int(256);
      const begun = performance.now();
      tf.engine().startScope();
      try {
        importOnnx(mutant, 'mutant').prepare()(tf.ones([1, 3, 8, 8]));
        ran++;
      } catch (error) {
        if (!(error instanceof TesseraeError)) surprises.push(`${i}: ${String(error)}`);
      } finally {
        tf.engine().endScope();
      }
      if (performance.now() - begun > 5000) surprises.push(`${i}: slow`);
    }
    expect(surprises).toEqual([]);
    // Most bytes are weights, so many mutants still run; the others are refused.
    expect(ran).toBeGreaterThan(100);
    expect(ran).toBeLessThan(1990);
  }, 60_000);
});

const attack = join(
  process.env['TESSERAE_DATA'] ?? join(import.meta.dirname, '../../../shared/data'),
  '../cases/attack/onnx',
);

describe.skipIf(!existsSync(attack))('networks of an attack', () => {
  it('end in a typed error, or in features', async () => {
    const surprises: string[] = [];
    for (const name of readdirSync(attack)) {
      const outcome = await outcomeOf(readFileSync(join(attack, name)));
      if (!Array.isArray(outcome) && !(outcome instanceof TesseraeError && [2, 3].includes(outcome.exitCode)))
        surprises.push(`${name}: ${String(outcome)}`);
    }
    expect(surprises).toEqual([]);
  }, 60_000);
});
