import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { delayOrder, fromSequence, levelOrder, rasterOrder, toSequence } from '../../src/model/order.js';

const ORDERS = { raster: rasterOrder, level: levelOrder, delay: delayOrder };
const axes = fc.record({
  grid: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 3 }),
  levels: fc.integer({ min: 1, max: 4 }),
});

describe.each(Object.entries(ORDERS))('the %s order', (_, orderOf) => {
  it('holds every code once, and is undone by its reverse', () => {
    fc.assert(
      fc.property(axes, fc.integer({ min: 1, max: 3 }), (map, rows) => {
        const order = orderOf(map);
        const count = map.grid.reduce((a, b) => a * b, map.levels);
        const codes = Int32Array.from({ length: rows * count }, (_, i) => i);
        const sequence = toSequence(codes, order);
        expect([...sequence].sort((a, b) => a - b)).toEqual([...codes]);
        expect(fromSequence(sequence, order)).toEqual(codes);
      }),
    );
  });
});

describe('orders of three positions with two levels', () => {
  // Row-major: position 0 has the codes 0 and 1, position 1 has 2 and 3, position 2 has 4 and 5.
  const codes = Int32Array.of(0, 1, 2, 3, 4, 5);
  const map = { grid: [3], levels: 2 };

  it.each([
    ['raster', [0, 1, 2, 3, 4, 5]],
    ['level', [0, 2, 4, 1, 3, 5]],
    // The second level of a position comes with the first level of the next one.
    ['delay', [0, 2, 1, 4, 3, 5]],
  ] as const)('%s', (name, expected) => expect([...toSequence(codes, ORDERS[name](map))]).toEqual(expected));
});
