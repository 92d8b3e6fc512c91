import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bundledModels, modelDirectory } from '../../src/checkpoint/bundled.js';
import { loadModel, readModelCard } from '../../src/checkpoint/model.js';
import { generate, inspect, loadCodec, loadPrior } from '../../src/index.js';

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

  it('draw from a prompt at once', async () => {
    const { media, prompts } = await generate({ prior: 'clipart', prompts: ['strawberry'], sampling: { seed: 1 } });
    expect(prompts).toEqual(['strawberry']);
    const [image] = media as [{ width: number; height: number; pixels: Uint8Array }];
    expect([image.width, image.height]).toEqual([64, 64]);
    // A strawberry is red: among the pixels that are far from white, red is the strongest channel of most.
    let [colored, red] = [0, 0];
    for (let i = 0; i < image.pixels.length; i += 3) {
      const [r, g, b] = image.pixels.subarray(i, i + 3) as unknown as [number, number, number];
      if (Math.min(r, g, b) > 200) continue;
      colored++;
      if (r > g && r > b) red++;
    }
    expect(red / colored).toBeGreaterThan(0.5);
  });

  it('are their codecs, too', async () => {
    const codec = await loadCodec('clipart');
    expect(codec.fingerprint).toBe(readModelCard('icons-64').fingerprint);
    codec.dispose();
  });
});
