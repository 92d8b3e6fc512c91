import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bundledModels, modelDirectory } from '../../src/checkpoint/bundled.js';
import { loadModel, readModelCard } from '../../src/checkpoint/model.js';
import type { Image } from '../../src/index.js';
import { imageMedium, inspect, loadCodec, loadPrior } from '../../src/index.js';

describe('bundled models', () => {
  const before = process.cwd();
  beforeEach(() => process.chdir(mkdtempSync(join(tmpdir(), 'bundled-'))));
  afterEach(() => process.chdir(before));

  it.each(bundledModels())('%s is whole, and its card says data, license and how it was trained', async (name) => {
    const { card } = loadModel(name);
    expect(card.fingerprint).toBe(readModelCard(name).fingerprint);
    const { health } = (await inspect(name)) as { health: string };
    expect(health).toBe('every byte verified');
    const about = card.training?.['bundled'] as Record<string, string>;
    expect(about['license']).toMatch(/Apache-2\.0/);
    expect(about['data']).toMatch(/public domain/);
  });

  it('give way to a path with a model, and not to a folder without one', () => {
    const [name] = bundledModels() as [string];
    mkdirSync(name);
    expect(modelDirectory(name)).not.toBe(name);
    writeFileSync(join(name, 'model.json'), '{}');
    expect(modelDirectory(name)).toBe(name);
  });

  it('are named where no model is found', async () => {
    const names = bundledModels().join(', ');
    await expect(loadPrior('nothing-here')).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: expect.stringContaining(`Give the directory of a model, or the name of a bundled one: ${names}.`),
    });
  });

  it('are found by jobs', async () => {
    const codec = await loadCodec('icons-64', { medium: imageMedium });
    const image: Image = {
      kind: 'image',
      width: 64,
      height: 64,
      channels: 3,
      pixels: new Uint8Array(64 * 64 * 3).fill(255),
    };
    const [back] = await codec.decode(await codec.encode([image]));
    codec.dispose();
    expect(nmseOfWhite(back!.pixels)).toBeLessThan(0.01);
  });
});

/** The mean squared difference from white, in units of the range. */
const nmseOfWhite = (pixels: ArrayLike<number>): number =>
  Array.from(pixels, (value) => ((255 - value) / 255) ** 2).reduce((a, b) => a + b, 0) / pixels.length;
