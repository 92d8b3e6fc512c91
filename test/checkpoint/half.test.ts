import { describe, expect, it } from 'vitest';
import { packModel, openModelFiles } from '../../src/checkpoint/card.js';
import { areHalves, floatBits, halfBits, roundToHalf } from '../../src/checkpoint/half.js';
import type { NamedTensors } from '../../src/checkpoint/tensors.js';

const valueOf = (half: number): number => new Float32Array(Int32Array.of(floatBits(half)).buffer)[0]!;
const float = (values: number[]): NamedTensors => ({
  w: { dtype: 'float32', shape: [values.length], data: Float32Array.from(values) },
});

describe('half precision', () => {
  it('gives every half back', () => {
    for (let half = 0; half < 0x10000; half++) {
      const value = valueOf(half);
      if (Number.isNaN(value)) expect(halfBits(value) & 0x7e00).toBe(0x7e00);
      else if (halfBits(value) !== half) expect.fail(`${half} became ${halfBits(value)}`);
    }
  });

  it('rounds to the nearest half, ties to even', () => {
    for (let half = 1; half < 0x7c00; half++) {
      const [below, above] = [valueOf(half - 1), half === 0x7bff ? 65_536 : valueOf(half)];
      const middle = (below + above) / 2; // exact in float32
      const even = half % 2 === 0 ? half : half - 1;
      if (half === 0x7bff) continue;
      if (halfBits(middle) !== even) expect.fail(`middle below ${half} became ${halfBits(middle)}`);
      const up = Math.fround(middle * (1 + 2 ** -20));
      const down = Math.fround(middle * (1 - 2 ** -20));
      if (halfBits(up) !== half || halfBits(down) !== half - 1) expect.fail(`beside the middle below ${half}`);
    }
    expect([halfBits(65_519), halfBits(65_520), halfBits(-1e9), halfBits(1e-12), halfBits(-0)]).toEqual([
      0x7bff, 0x7c00, 0xfc00, 0, 0x8000,
    ]);
  });

  it('is how a model is stored whose weights are all halves, and loses nothing', () => {
    const card = { kind: 'codec' as const, name: 'vqvae', config: {} };
    const tensors = roundToHalf(float([0.1, -1 / 3, 3e-7, 1000.25]));
    expect(areHalves(tensors)).toBe(true);
    const packed = packModel(card, { ...tensors, n: { dtype: 'int32', shape: [1], data: Int32Array.of(70_000) } });
    const files = Object.fromEntries(
      Object.entries(packed.files).map(([name, content]) => [
        name,
        typeof content === 'string' ? new TextEncoder().encode(content) : content,
      ]),
    );
    expect(new TextDecoder().decode(files['model.safetensors'])).toContain('"w":{"dtype":"F16"');
    const { tensors: read, card: found } = openModelFiles(files);
    expect(read['w']!.data).toEqual(tensors['w']!.data);
    expect(read['n']!.data).toEqual(Int32Array.of(70_000));
    expect(found.fingerprint).toBe(packed.card.fingerprint);
  });

  it('is not how other models are stored', () => {
    const { files } = packModel({ kind: 'codec', name: 'vqvae', config: {} }, float([0.5, 0.1]));
    expect(new TextDecoder().decode(files['model.safetensors'] as Uint8Array)).toContain('"w":{"dtype":"F32"');
  });
});
