import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { relatedReports } from '../../src/train/related.js';

const root = mkdtempSync(join(tmpdir(), 'tesserae-related-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function model(name: string, card: unknown, report = true): string {
  const path = join(root, name);
  mkdirSync(path);
  writeFileSync(join(path, 'model.json'), typeof card === 'string' ? card : JSON.stringify(card));
  if (report) writeFileSync(join(path, 'report.html'), '');
  return path;
}

describe('relatedReports', () => {
  let prior: string;
  let codec: string;
  beforeAll(() => {
    codec = model('codec a', { kind: 'codec', fingerprint: 'a' });
    model('codec-b', { kind: 'codec', fingerprint: 'b' });
    model('without-report', { kind: 'codec', fingerprint: 'a' }, false);
    model('damaged', '{');
    prior = model('prior', { kind: 'prior', fingerprint: 'p', codec: { fingerprint: 'a' } });
  });

  it('finds the codec of a prior beside it, and the priors of a codec', () => {
    expect(relatedReports(prior, [prior], { kind: 'codec', codec: 'a' })).toEqual([
      { text: 'Report of the codec codec a', href: '../codec a/report.html' },
    ]);
    expect(relatedReports(codec, [codec], { kind: 'prior', codec: 'a' })).toEqual([
      { text: 'Report of the prior prior', href: '../prior/report.html' },
    ]);
  });

  it('links to nothing that does not exist', () => {
    expect(relatedReports(prior, [prior], { kind: 'codec', codec: 'c' })).toEqual([]);
    expect(relatedReports(prior, [join(root, 'missing', 'run')], { kind: 'codec', codec: 'a' })).toEqual([]);
  });
});
