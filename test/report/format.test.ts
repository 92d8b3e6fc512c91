import { describe, expect, it } from 'vitest';
import { escapeMarkup, formatCount, formatDuration, formatNumber, formatTick } from '../../src/report/format.js';

describe('numbers', () => {
  it.each([
    [0, '0'],
    [12345, '12,345'],
    [-1234567, '-1,234,567'],
    [0.123456, '0.1235'],
    [0.5, '0.5'],
    [24.30001, '24.3'],
    [1234.5678, '1,235'],
    [-0.25, '-0.25'],
    [0.00001234567, '0.00001235'],
    [1.5e-9, '1.5e-9'],
    [Number.NaN, 'not a number'],
    [Infinity, '∞'],
    [-Infinity, '-∞'],
  ])('writes %d as %s', (value, text) => {
    expect(formatNumber(value)).toBe(text);
  });

  it('groups counts by thousands', () => {
    expect([0, 999, 1000, 60000, 1234567.4].map(formatCount)).toEqual(['0', '999', '1,000', '60,000', '1,234,567']);
  });

  it('writes ticks short', () => {
    expect([0, 0.25, 500, 1000, 2500, 20000, 2.5e6, 1e9, 1e-5, -2000, 1e15].map(formatTick)).toEqual([
      '0',
      '0.25',
      '500',
      '1k',
      '2.5k',
      '20k',
      '2.5M',
      '1G',
      '1e-5',
      '-2k',
      '1e15',
    ]);
  });

  it('writes durations in two units', () => {
    expect([-1, 0, 3.2, 59.6, 75, 3599, 3600, 4020, 90000].map(formatDuration)).toEqual([
      '0s',
      '0s',
      '3s',
      '1m 00s',
      '1m 15s',
      '59m 59s',
      '1h 00m',
      '1h 07m',
      '1d 01h',
    ]);
  });
});

describe('escapeMarkup', () => {
  it('leaves no markup and no quote as it was', () => {
    expect(escapeMarkup(`<a href="x" on='y'>&amp;`)).toBe('&lt;a href=&quot;x&quot; on=&#39;y&#39;&gt;&amp;amp;');
  });

  it('replaces what XML cannot hold and keeps the rest', () => {
    expect(escapeMarkup('a\u0000b\u001bc\ud800d\uffffe')).toBe('a\ufffdb\ufffdc\ufffdd\ufffde');
    expect(escapeMarkup('tab\there\nand 😀 é')).toBe('tab\there\nand 😀 é');
  });
});
