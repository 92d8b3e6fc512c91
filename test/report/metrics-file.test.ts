import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appendMetrics, readMetrics, truncateMetrics } from '../../src/report/metrics-file.js';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tesserae-metrics-'));
  path = join(directory, 'metrics.jsonl');
});
afterEach(() => rmSync(directory, { recursive: true }));

const records = [
  { step: 1, loss: 0.5 },
  { step: 2, loss: 0.25, learningRate: 3e-4 },
  { step: 2, split: 'test' as const, loss: 0.3, nmse: 0.1 },
];

describe('the metrics file', () => {
  it('gives back what was appended', () => {
    for (const record of records) appendMetrics(path, record);
    expect(readMetrics(path)).toEqual(records);
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(4);
  });

  it('passes over a last line torn at any byte', () => {
    for (const record of records) appendMetrics(path, record);
    const whole = readFileSync(path);
    const lastStart = whole.lastIndexOf('\n', whole.length - 2) + 1;
    for (let length = lastStart; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      expect(readMetrics(path)).toEqual(records.slice(0, 2));
    }
  });

  it('cuts a torn line off before it appends', () => {
    appendMetrics(path, records[0]!);
    appendFileSync(path, '{"step": 2, "lo');
    appendMetrics(path, records[1]!);
    expect(readMetrics(path)).toEqual(records.slice(0, 2));
    writeFileSync(path, '{"st');
    appendMetrics(path, records[0]!);
    expect(readMetrics(path)).toEqual(records.slice(0, 1));
  });

  it('names the line that is damaged', () => {
    for (const bad of ['{"step": 1, "loss"', '[1]', 'null', '{"loss": 1}', '{"step": "1"}']) {
      writeFileSync(path, `{"step":1}\n${bad}\n{"step":3}\n`);
      expect(() => readMetrics(path)).toThrow(/^E_METRICS_LINE .*metrics\.jsonl#2: expected a JSON object/);
    }
  });

  it('reads numbers that are not finite as null', () => {
    appendMetrics(path, { step: 1, psnr: Infinity });
    expect(readMetrics(path)).toEqual([{ step: 1, psnr: null }]);
  });

  it('drops the steps that a resumed run takes again', () => {
    for (const record of records) appendMetrics(path, record);
    appendFileSync(path, '{"step":3,"l');
    truncateMetrics(path, 1);
    expect(readFileSync(path, 'utf8')).toBe('{"step":1,"loss":0.5}\n');
    truncateMetrics(path, 0);
    expect(readMetrics(path)).toEqual([]);
  });

  it('says what is missing, and leaves it missing', () => {
    expect(() => readMetrics(path)).toThrow(/E_NOT_FOUND/);
    truncateMetrics(path, 5);
    expect(() => readMetrics(path)).toThrow(/E_NOT_FOUND/);
    expect(() => appendMetrics(join(directory, 'absent', 'metrics.jsonl'), records[0]!)).toThrow(/E_NOT_FOUND/);
  });
});
