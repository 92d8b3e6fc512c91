import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RunClock } from '../../src/train/clock.js';

describe('RunClock', () => {
  let out: string;
  beforeEach(() => {
    out = mkdtempSync(join(tmpdir(), 'tesserae-clock-'));
  });
  afterEach(() => rmSync(out, { recursive: true, force: true }));
  const stored = (): unknown => JSON.parse(readFileSync(join(out, 'run.json'), 'utf8'));
  const store = (record: unknown): void => writeFileSync(join(out, 'run.json'), JSON.stringify(record));

  it('adds up the sessions of a run and keeps when it began', () => {
    store({ started: '2026-01-02T03:04:05Z', seconds: 100 });
    new RunClock(out, true).save();
    expect(stored()).toEqual({ started: '2026-01-02T03:04:05Z', seconds: expect.closeTo(100, 0) as number });
    const record = new RunClock(out, true).finish(true);
    expect(record).toMatchObject({ started: '2026-01-02T03:04:05Z', seconds: expect.closeTo(100, 0) as number });
    expect(Date.now() - Date.parse(record.finished!)).toBeLessThan(60_000);
    expect(stored()).toEqual(record);
  });

  it('leaves the record of a run that was finished before', () => {
    const record = { started: '2026-01-02T03:04:05Z', finished: '2026-01-02T04:00:00Z', seconds: 100 };
    store(record);
    expect(new RunClock(out, true).finish(false)).toEqual(record);
    expect(stored()).toEqual(record);
  });

  it('starts anew for a new run', () => {
    store({ started: '2026-01-02T03:04:05Z', seconds: 100 });
    const { started, seconds } = new RunClock(out, false).finish(true);
    expect(started).not.toBe('2026-01-02T03:04:05Z');
    expect(seconds).toBeLessThan(60);
  });

  it.each(['{', '[]', '{"started":"yesterday","seconds":1}', '{"started":"2026-01-02T03:04:05Z"}'])(
    'claims no duration for a run whose record is %s',
    (text) => {
      writeFileSync(join(out, 'run.json'), text);
      expect(new RunClock(out, true).finish(true)).toEqual({ finished: expect.any(String) as string });
    },
  );
});
