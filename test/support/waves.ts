// A dataset of series for tests of media from outside: waves of two classes, in folders with an official split.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tesserae from '../../src/index.js';
import { Rng } from '../../src/rng.js';
import { seriesMedium } from './series.mjs';
import type { Series } from './series.mjs';

export const series = seriesMedium(tesserae);

const TRAINING = { batchSize: 8, warmupSteps: 2, evalEvery: 1000, checkpointEvery: 1000, learningRate: 3e-3 };

/** Settings of training, as JSON files hold them. */
export const WAVE_SETTINGS = {
  codec: { codec: 'series-vq', config: {}, training: { ...TRAINING, steps: 150 } },
  other: { codec: 'series-vq', config: { length: 16, hidden: 8 }, training: { ...TRAINING, steps: 3 } },
  lengths: { codec: 'series-vq', config: { fit: 'none' }, training: { ...TRAINING, steps: 3 } },
  prior: {
    config: { nLayer: 1, nHead: 2, nEmbd: 16 },
    text: { vocabSize: 300 },
    training: { ...TRAINING, steps: 20 },
  },
};

/** A wave of one of two frequencies, with a phase by its number. */
export function wave(index: number, length = 40): Series {
  const rng = new Rng(index, 'test.wave');
  const [phase, frequency] = [rng.uniform(), index % 2 === 0 ? 1 : 3];
  const values = Float32Array.from({ length: 2 * length }, (_, i) => {
    const angle = 2 * Math.PI * (phase + (frequency * Math.floor(i / 2)) / 20);
    return 0.8 * (i % 2 === 0 ? Math.sin(angle) : Math.cos(angle));
  });
  return { kind: 'series', interval: 0.02, channels: 2, values };
}

/** Writes `data/` with 40 waves, 10 of them held out, and the settings as `<name>.json`. */
export async function writeWaves(folder: string): Promise<void> {
  for (const [name, settings] of Object.entries(WAVE_SETTINGS))
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(settings));
  for (let i = 0; i < 40; i++) {
    const place = join(folder, 'data', i % 4 === 0 ? 'test' : 'train', i % 2 === 0 ? 'slow' : 'fast');
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, `${i}.npy`), await series.files.encode(wave(i)));
  }
}
