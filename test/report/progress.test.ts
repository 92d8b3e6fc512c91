import { describe, expect, it } from 'vitest';
import { Progress } from '../../src/report/progress.js';
import type { ProgressOptions } from '../../src/report/progress.js';

const ERASE = '\r\u001b[2K';

function watched(options: Partial<ProgressOptions> & { columns?: number } = {}): {
  progress: Progress;
  written: string[];
  wait: (seconds: number) => void;
} {
  const written: string[] = [];
  let clock = 5000;
  const stream = { write: (text: string) => written.push(text), columns: options.columns ?? 200 };
  const progress = new Progress({
    label: 'train codec',
    total: 1000,
    unit: 'steps',
    stream,
    isTTY: true,
    now: () => clock,
    ...options,
  });
  return { progress, written, wait: (seconds) => (clock += 1000 * seconds) };
}

describe('Progress on a terminal', () => {
  it('redraws one line with bar, rate, values and time left', () => {
    const { progress, written, wait } = watched();
    progress.update(0);
    wait(10);
    progress.update(250, { loss: 0.123456 });
    expect(written).toEqual([
      `${ERASE}train codec  ${'░'.repeat(24)}    0%  0/1,000 steps`,
      `${ERASE}train codec  ${'█'.repeat(6)}${'░'.repeat(18)}   25%  250/1,000 steps  25.0 steps/s  loss 0.1235  30s left`,
    ]);
  });

  it('draws at most ten times a second', () => {
    const { progress, written, wait } = watched();
    for (let step = 1; step <= 1000; step++) {
      wait(0.001);
      progress.update(step);
    }
    expect(written.length).toBe(10);
  });

  it('follows a change of speed', () => {
    const { progress, written, wait } = watched();
    for (let second = 1; second <= 60; second++) {
      wait(1);
      progress.update(second <= 30 ? second : 30 + (second - 30) * 10);
    }
    expect(written.at(-1)).toContain('10.0 steps/s');
    expect(written.at(-1)).toContain('67s left'.replace('67s', '1m 07s'));
  });

  it('never writes a line that would wrap', () => {
    const { progress, written, wait } = watched({ columns: 40 });
    wait(5);
    progress.update(500, { loss: 1 });
    progress.finish();
    for (const line of written) expect(line.replace(ERASE, '').trimEnd().length).toBeLessThan(40);
  });

  it('keeps the time left at 80 columns, and leaves out values and the bar before it', () => {
    const lineAt = (columns: number): string => {
      const { progress, written, wait } = watched({ columns });
      wait(10);
      progress.update(250, { loss: 0.123456, commitment: 0.0123, perplexity: 112.5 });
      return written.at(-1)!.replace(ERASE, '');
    };
    expect(lineAt(80)).toMatch(/^train codec  █+░+   25%  250\/1,000 steps  30s left$/);
    expect(lineAt(100)).toMatch(/25.0 steps\/s  loss 0.1235  30s left$/);
    expect(lineAt(60)).toBe('train codec   25%  250/1,000 steps  25.0 steps/s  30s left');
    for (const columns of [80, 100, 60]) expect(lineAt(columns).length).toBeLessThan(columns);
  });

  it('puts notes above the line', () => {
    const { progress, written, wait } = watched();
    progress.note('before');
    wait(1);
    progress.update(10);
    progress.note('checkpoint saved');
    expect(written[0]).toBe('before\n');
    expect(written.slice(2)).toEqual([ERASE, 'checkpoint saved\n', written[1]]);
  });

  it('ends with the whole time and rate, once', () => {
    const { progress, written, wait } = watched();
    wait(80);
    progress.update(1000, { loss: 0.5 });
    progress.finish();
    progress.finish();
    progress.update(1001);
    expect(written.at(-1)).toBe(`${ERASE}train codec  100%  1,000/1,000 steps  12.5 steps/s  loss 0.5  in 1m 20s\n`);
    expect(written).toHaveLength(2);
  });
});

describe('Progress elsewhere', () => {
  it('writes plain lines, one every ten seconds', () => {
    const { progress, written, wait } = watched({ isTTY: false });
    for (let second = 1; second <= 25; second++) {
      wait(1);
      progress.update(second * 20, { loss: 1 / second });
    }
    progress.finish();
    expect(written).toEqual([
      'train codec   20%  200/1,000 steps  20.0 steps/s  loss 0.1  40s left\n',
      'train codec   40%  400/1,000 steps  20.0 steps/s  loss 0.05  30s left\n',
      'train codec   50%  500/1,000 steps  20.0 steps/s  loss 0.04  in 25s\n',
    ]);
  });

  it('counts without a total, and from where an earlier run stopped', () => {
    const open = watched({ isTTY: false, label: 'tokenize', total: undefined, unit: 'pictures' });
    open.wait(10);
    open.progress.update(12_345);
    expect(open.written).toEqual(['tokenize  12,345 pictures  1,235 pictures/s\n']);
    const resumed = watched({ isTTY: false, initial: 500 });
    resumed.wait(10);
    resumed.progress.update(600);
    expect(resumed.written).toEqual(['train codec   60%  600/1,000 steps  10.0 steps/s  40s left\n']);
  });

  it('asks the stream whether it is a terminal', () => {
    const written: string[] = [];
    const progress = new Progress({
      label: 'x',
      unit: 'steps',
      stream: { write: (text) => written.push(text), isTTY: true },
      now: () => 0,
    });
    progress.update(1);
    expect(written[0]).toContain(ERASE);
  });
});
