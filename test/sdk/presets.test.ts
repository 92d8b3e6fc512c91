import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { codecPreset, priorPreset } from '../../src/sdk/presets.js';

const folder = mkdtempSync(join(tmpdir(), 'tesserae-presets-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function configOf(content: string | Uint8Array): string {
  const path = join(folder, 'settings.json');
  writeFileSync(path, content);
  return path;
}

describe('a config file', () => {
  it('may begin with a byte order mark', () => {
    expect(codecPreset({ config: configOf('\ufeff{"codec":"dvae"}') })).toMatchObject({ codec: 'dvae' });
    expect(priorPreset({ config: configOf('\ufeff{"training":{"steps":3}}') }).training).toEqual({ steps: 3 });
  });

  it('is refused in other encodings, and by the field that is unknown', () => {
    expect(() => codecPreset({ config: configOf(Buffer.from('\ufeff{}', 'utf16le')) })).toThrow(
      /^E_JSON .*settings\.json: expected UTF-8 text/,
    );
    expect(() => codecPreset({ config: configOf('{"codek":"dvae"}') })).toThrow(/^E_CONFIG .*settings\.json: .*codek/);
  });
});
