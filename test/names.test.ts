import { describe, expect, it } from 'vitest';
import { closestName, excerpt, listNames } from '../src/names.js';

describe('names in messages', () => {
  it('lists ten names at most and counts the others', () => {
    expect(listNames(['a', 'b'])).toBe('a, b');
    const many = Array.from({ length: 10_141 }, (_, i) => `class-${i}`);
    expect(listNames(many)).toBe(`${many.slice(0, 10).join(', ')} and 10,131 more`);
    expect(listNames(many.slice(0, 10))).not.toContain('more');
    expect(listNames([], 10)).toBe('');
  });

  it('shortens a text to one line of at most so many characters', () => {
    expect(excerpt('a red\n bird')).toBe('a red bird');
    expect(excerpt('x'.repeat(80))).toBe('x'.repeat(80));
    expect(excerpt('x'.repeat(81))).toBe(`${'x'.repeat(77)}...`);
    expect(excerpt('x'.repeat(1_000_000), 20)).toBe(`${'x'.repeat(17)}...`);
    // Astral characters are not cut in two.
    expect(excerpt('😀'.repeat(100), 10)).toBe(`${'😀'.repeat(7)}...`);
  });

  it('finds the nearest name, for the whole text or for a word of it', () => {
    const classes = ['t-shirt', 'trouser', 'sneaker', 'ankle boot'];
    expect(closestName('snaeker', classes)).toBe('sneaker');
    expect(closestName('a photo of a snekaer', classes)).toBe('sneaker');
    expect(closestName('Ankle boots', classes)).toBe('ankle boot');
    expect(closestName('elephant', classes)).toBeUndefined();
    expect(closestName('anything', [])).toBeUndefined();
  });
});
