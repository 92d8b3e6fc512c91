import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { copyBlock, pieceOf } from '../../src/media/samples.js';
import type { Samples } from '../../src/media/samples.js';
import { sizeOf, stridesOf } from '../../src/shape.js';

/** Values 0, 1, 2, ... of a shape. */
const counted = (shape: readonly number[]): Samples<Float32Array> => ({
  data: Float32Array.from({ length: sizeOf(shape) }, (_, i) => i),
  shape,
});

/** Every position of an extent. */
function positionsOf(extent: readonly number[]): number[][] {
  return extent.reduce<number[][]>(
    (all, length) => all.flatMap((position) => Array.from({ length }, (_, i) => [...position, i])),
    [[]],
  );
}

const at = ({ data, shape }: Samples, position: readonly number[], channel: number): number =>
  data[position.reduce((sum, i, axis) => sum + i * stridesOf(shape)[axis]!, channel)]!;

/** Axes of one to three, with an extent of the whole, a start and an extent of the part for each. */
const axes = fc.array(
  fc.record({
    whole: fc.integer({ min: 1, max: 6 }),
    start: fc.integer({ min: -4, max: 8 }),
    part: fc.integer({ min: 1, max: 5 }),
  }),
  { minLength: 1, maxLength: 3 },
);
const channels = fc.integer({ min: 1, max: 3 });

describe('pieceOf', () => {
  it('takes each value from the nearest position, along one to three axes', () => {
    fc.assert(
      fc.property(axes, channels, (all, depth) => {
        const whole = counted([...all.map((axis) => axis.whole), depth]);
        const start = all.map((axis) => axis.start);
        const extent = all.map(({ part }) => part);
        const piece = pieceOf(whole, start, extent);
        expect(piece.shape).toEqual([...extent, depth]);
        for (const position of positionsOf(extent)) {
          const from = position.map((i, axis) => Math.min(Math.max(start[axis]! + i, 0), all[axis]!.whole - 1));
          for (let c = 0; c < depth; c++) expect(at(piece, position, c)).toBe(at(whole, from, c));
        }
      }),
    );
  });

  it('gives back the samples themselves for the whole of them', () => {
    const whole = counted([3, 4, 2]);
    expect(pieceOf(whole, [0, 0], [3, 4])).toBe(whole);
  });
});

describe('copyBlock', () => {
  it('copies a block and nothing else, along one to three axes', () => {
    fc.assert(
      fc.property(axes, channels, (all, depth) => {
        const from = counted([...all.map(({ whole }) => whole), depth]);
        const to = { data: new Float32Array(sizeOf(from.shape)).fill(-1), shape: from.shape };
        const source = all.map(({ start, whole }) => Math.abs(start) % whole);
        const extent = all.map(({ part, whole }, axis) => Math.min(part, whole - source[axis]!));
        const target = all.map(({ whole }, axis) => whole - extent[axis]!);
        copyBlock(from, to, { source, target, extent });
        for (const position of positionsOf(all.map(({ whole }) => whole))) {
          const inside = position.map((i, axis) => i - target[axis]!);
          const isCopied = inside.every((i) => i >= 0);
          for (let c = 0; c < depth; c++)
            expect(at(to, position, c)).toBe(
              isCopied
                ? at(
                    from,
                    inside.map((i, axis) => i + source[axis]!),
                    c,
                  )
                : -1,
            );
        }
      }),
    );
  });

  it('copies nothing when the block is empty along an axis', () => {
    const [from, to] = [counted([2, 2, 1]), { data: new Float32Array(4), shape: [2, 2, 1] }];
    copyBlock(from, to, { source: [0, 0], target: [0, 0], extent: [2, 0] });
    expect([...to.data]).toEqual([0, 0, 0, 0]);
  });
});
