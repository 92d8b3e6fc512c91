import { expect, it } from 'vitest';
import { sameJson } from '../src/json.js';

it.each<[unknown, unknown]>([
  [null, null],
  [{ a: [1, { b: null }], c: 'x' }, JSON.parse('{ "c": "x", "a": [1, { "b": null }] }')],
  [[], []],
])('%j equals %j', (a, b) => expect(sameJson(a, b)).toBe(true));

it.each<[unknown, unknown]>([
  [null, {}],
  [[], {}],
  [{ 0: 'a' }, ['a']],
  [{ a: 1 }, { a: 1, b: 1 }],
  [
    { a: 1, b: 2 },
    { a: 1, c: 2 },
  ],
  [{ a: null }, { b: null }],
  [
    [1, 2],
    [2, 1],
  ],
  [1, '1'],
])('%j differs from %j', (a, b) => {
  expect(sameJson(a, b)).toBe(false);
  expect(sameJson(b, a)).toBe(false);
});
