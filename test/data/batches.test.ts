import { setTimeout as sleep } from 'node:timers/promises';

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { augment, vary } from '../../src/data/augment.js';
import type { AugmentKey, AugmentOptions } from '../../src/data/augment.js';
import { evalBatches, SampleCache, trainBatches, type Batch, type TrainBatchOptions } from '../../src/data/batches.js';
import { memoryDataset } from '../../src/data/memory.js';
import { openDataset } from '../../src/data/open.js';
import { AbortedError, InputError, UsageError } from '../../src/errors.js';
import type { Dataset, RawSample, Split } from '../../src/interfaces/dataset.js';
import type { Image } from '../../src/interfaces/index.js';
import { imageMedium } from '../../src/media/image/medium.js';
import { noise } from '../media/image/fixtures.js';
import { codeOf, folderOf, inputOf, memorySamples, png } from './fixtures.js';

const SIZE = { medium: imageMedium, input: inputOf(4, 4) };

async function take(batches: AsyncIterable<Batch>, count: number): Promise<Batch[]> {
  const taken: Batch[] = [];
  for await (const batch of batches) {
    taken.push(batch);
    if (taken.length === count) break;
  }
  return taken;
}

function dataset(count = 11): Dataset {
  return memoryDataset(memorySamples(count).map((sample) => ({ ...sample, split: 'train' as const })));
}

const base: TrainBatchOptions = { batchSize: 4, ...SIZE, seed: 3, augment: { flip: true, crop: 1 } };

describe('trainBatches', () => {
  it('resumes at any step with the batches of the uninterrupted run', async () => {
    const whole = await take(trainBatches(dataset(), base), 12);
    await fc.assert(
      fc.asyncProperty(fc.nat(10), fc.nat(4), async (startStep, prefetch) => {
        const resumed = await take(trainBatches(dataset(), { ...base, startStep, prefetch }), 2);
        expect(resumed).toEqual(whole.slice(startStep, startStep + 2));
      }),
      { numRuns: 25 },
    );
  });

  it('visits every sample once an epoch, in an order of its own, in batches of equal size', async () => {
    const batches = await take(trainBatches(dataset(), base), 11);
    expect(batches.map(({ count, step }) => [count, step])).toEqual(batches.map((_, step) => [4, step]));
    const order = batches.flatMap(({ indices }) => [...indices]);
    const epochs = [0, 1, 2, 3].map((epoch) => order.slice(epoch * 11, epoch * 11 + 11));
    for (const epoch of epochs)
      expect([...epoch].sort((a, b) => a - b)).toEqual([...Array.from({ length: 11 }).keys()]);
    expect(new Set(epochs.map(String)).size).toBe(4);
    const [other] = await take(trainBatches(dataset(), { ...base, seed: 4 }), 1);
    expect([...other!.indices]).not.toEqual(order.slice(0, 4));
  });

  it('delivers pixels, captions, labels and keys that belong together', async () => {
    const samples = memorySamples(11);
    const [batch] = await take(trainBatches(dataset(), { ...base, augment: undefined }), 1);
    batch!.indices.forEach((index, row) => {
      const sample = samples[index]!;
      expect(batch!.keys[row]).toBe(sample.key);
      expect(batch!.captions[row]).toEqual(sample.captions);
      expect(batch!.labels[row]).toBe(sample.label);
      const expected = Float32Array.from((sample.media as Image).pixels, (value) => value / 127.5 - 1);
      expect(batch!.values.subarray(row * 48, row * 48 + 48)).toEqual(expected);
    });
  });

  it('handles batches larger than the dataset', async () => {
    const [batch] = await take(trainBatches(dataset(3), { ...base, batchSize: 10 }), 1);
    expect([...batch!.indices].filter((index) => index === 0).length).toBeGreaterThanOrEqual(3);
    expect(batch!.count).toBe(10);
  });

  it('decodes each sample once while the cache has room, and again beyond', async () => {
    const roomy = counting(dataset(12));
    await take(trainBatches(roomy, { ...base, prefetch: 0 }), 11);
    expect(roomy.reads()).toBe(12);
    const cache = new SampleCache(48 * 5);
    const tight = counting(dataset());
    await take(trainBatches(tight, { ...base, prefetch: 0, cache }), 11);
    expect(cache.bytes).toBe(48 * 5);
    expect(tight.reads()).toBeGreaterThan(11);
    expect(await take(trainBatches(tight, { ...base, cache }), 3)).toEqual(
      await take(trainBatches(dataset(), base), 3),
    );
  });

  it('works ahead while the consumer is busy, no further than it was told', async () => {
    const source = counting(dataset(200));
    const batches = trainBatches(source, { ...base, prefetch: 3 });
    await batches.next();
    await sleep(50);
    expect(source.reads()).toBe(4 * 4);
    await batches.return();
    await sleep(20);
    expect(source.reads()).toBe(4 * 4);
  });

  it('stops when asked', async () => {
    const controller = new AbortController();
    const batches = trainBatches(dataset(), { ...base, signal: controller.signal });
    await batches.next();
    controller.abort();
    await expect(batches.next()).rejects.toThrow(AbortedError);
  });

  it('refuses options and splits that make no sense', () => {
    for (const wrong of [{ batchSize: 0 }, { batchSize: 1.5 }, { prefetch: -1 }, { startStep: -1 }]) {
      expect(() => trainBatches(dataset(), { ...base, ...wrong })).toThrow(UsageError);
    }
    expect(() => trainBatches(dataset(), { ...base, split: 'test' })).toThrow(InputError);
  });
});

/** Six training files of which the first `bad` are cut short. */
async function damaged(bad: number): Promise<Dataset> {
  const whole = await png();
  const files = Array.from({ length: 6 }, (_, i): [string, Uint8Array] => [
    `train/${i}.png`,
    i < bad ? whole.subarray(0, 40) : whole,
  ]);
  return openDataset(folderOf({ ...Object.fromEntries(files), 'test/0.png': whole }));
}

describe('bad samples', () => {
  it('stop the iteration with an error that names the file', async () => {
    const broken = await damaged(1);
    const error = await take(trainBatches(broken, base), 2).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toContain('0.png');
    await expect(take(evalBatches(broken, 'train', { batchSize: 2, ...SIZE }), 3)).rejects.toThrow('E_IMAGE_TRUNCATED');
  });

  it('are reported once and replaced by the next, the same on resume', async () => {
    const reported: string[] = [];
    const options = { ...base, onBad: (_: Error, { key }: { key: string }) => reported.push(key) };
    const source = counting(await damaged(2));
    const whole = await take(trainBatches(source, options), 6);
    // Six samples; one that is wanted twice at once may be read twice, a bad one is not tried again.
    expect(source.reads()).toBeLessThanOrEqual(10);
    expect(reported.sort()).toEqual(['train/0', 'train/1']);
    expect(whole.flatMap(({ keys }) => keys)).not.toContain('train/0');
    expect(await take(trainBatches(await damaged(2), { ...options, startStep: 4 }), 2)).toEqual(whole.slice(4));
  });

  it('are missing from an evaluation', async () => {
    const reported: string[] = [];
    const batches = evalBatches(await damaged(1), 'train', {
      batchSize: 4,
      ...SIZE,
      onBad: (error) => reported.push(error.code),
    });
    expect((await take(batches, 9)).map(({ keys }) => keys)).toEqual([
      ['train/1', 'train/2', 'train/3'],
      ['train/4', 'train/5'],
    ]);
    expect(reported).toEqual(['E_IMAGE_TRUNCATED']);
  });

  it('end training when there is nothing else', async () => {
    const all = trainBatches(await damaged(6), { ...base, onBad: () => undefined });
    expect(await codeOf(all.next())).toBe('E_DATA_ALL_BAD');
  });
});

describe('evalBatches', () => {
  it('gives every sample once, in order, the last batch short', async () => {
    const batches = await take(evalBatches(dataset(), 'train', { batchSize: 4, ...SIZE }), 9);
    expect(batches.flatMap(({ indices }) => [...indices])).toEqual([...Array.from({ length: 11 }).keys()]);
    expect(batches.map(({ count, values }) => [count, values.length / 48])).toEqual([
      [4, 4],
      [4, 4],
      [3, 3],
    ]);
  });

  it('pads the last batch with zeros on request', async () => {
    const batches = await take(evalBatches(dataset(), 'train', { batchSize: 4, ...SIZE, pad: true, limit: 6 }), 9);
    expect(batches.map(({ count, values }) => [count, values.length / 48])).toEqual([
      [4, 4],
      [2, 4],
    ]);
    expect(batches[1]!.values.subarray(96).every((value) => value === 0)).toBe(true);
    expect(batches[1]!.values.subarray(0, 96).some((value) => value !== 0)).toBe(true);
  });

  it('gives nothing for an empty split', async () => {
    expect(await take(evalBatches(dataset(), 'test', { batchSize: 4, ...SIZE }), 9)).toEqual([]);
  });

  it('crops larger images around their center where the input keeps their size', async () => {
    // Pixel [y, x] has the value 10 y + x.
    const pixels = Uint8Array.from({ length: 6 * 8 }, (_, i) => 10 * Math.floor(i / 8) + (i % 8));
    const image: Image = { kind: 'image', width: 8, height: 6, channels: 1, pixels };
    const large = memoryDataset([{ key: 'a', media: image, split: 'train' }]);
    const input = inputOf(4, 4, { channels: 1, resize: 'none' });
    const [batch] = await take(evalBatches(large, 'train', { batchSize: 1, medium: imageMedium, input }), 1);
    const values = [...batch!.values].map((value) => Math.round((value + 1) * 127.5));
    expect(values).toEqual([1, 2, 3, 4].flatMap((y) => [2, 3, 4, 5].map((x) => 10 * y + x)));
  });

  it('keeps samples of different inputs apart in one cache', async () => {
    const cache = new SampleCache();
    const data = dataset(2);
    const lengths: number[] = [];
    for (const size of [4, 2, 4]) {
      const input = inputOf(size, size);
      const [batch] = await take(evalBatches(data, 'train', { batchSize: 2, medium: imageMedium, input, cache }), 1);
      const [own] = await take(evalBatches(data, 'train', { batchSize: 2, medium: imageMedium, input }), 1);
      expect(batch!.values).toEqual(own!.values);
      lengths.push(batch!.values.length);
    }
    expect(lengths).toEqual([96, 24, 96]);
  });

  it('brings images to the asked size and channels', async () => {
    const [batch] = await take(
      evalBatches(dataset(2), 'train', { batchSize: 2, medium: imageMedium, input: inputOf(2, 3, { channels: 1 }) }),
      1,
    );
    expect(batch!.values.length).toBe(2 * 2 * 3);
  });
});

describe('augment', () => {
  const image = noise(9, 7);
  const augmented = (of: Image, options: AugmentOptions, key: AugmentKey): Image =>
    augment({ media: of, medium: imageMedium, input: imageMedium.inputLike(of) }, options, key) as Image;

  it('is a function of seed, epoch and index', () => {
    const options = { flip: true, crop: 2 };
    const draw = (seed: number, epoch: number, index: number): string =>
      augmented(image, options, { seed, epoch, index }).pixels.join();
    expect(draw(1, 2, 3)).toBe(draw(1, 2, 3));
    for (const vary of [(i: number) => draw(i, 0, 0), (i: number) => draw(0, i, 0), (i: number) => draw(0, 0, i)]) {
      expect(new Set(Array.from({ length: 40 }, (_, i) => vary(i))).size).toBeGreaterThan(20);
    }
  });

  it('mirrors about half of the images, exactly', () => {
    const mirrored = Uint8Array.from(image.pixels, (_, i) => {
      const pixel = Math.floor(i / 3);
      return image.pixels[(pixel - (pixel % 9) + 8 - (pixel % 9)) * 3 + (i % 3)]!;
    });
    const outcomes = Array.from({ length: 400 }, (_, index) =>
      augmented(image, { flip: true }, { seed: 0, epoch: 0, index }),
    );
    const flipped = outcomes.filter((outcome) => outcome !== image);
    // 200 expected; four standard deviations are 40.
    expect(Math.abs(flipped.length - 200)).toBeLessThan(40);
    for (const { pixels } of flipped) expect(Buffer.compare(pixels, mirrored)).toBe(0);
  });

  it('shifts within its reach and repeats the border', () => {
    const ramp = { ...image, channels: 1 as const, pixels: Uint8Array.from({ length: 63 }, (_, i) => i % 9) };
    const shifts = new Set<number>();
    for (let index = 0; index < 200; index++) {
      const { pixels } = augmented(ramp, { crop: 2 }, { seed: 0, epoch: 0, index });
      const dx = pixels[4]! - 4;
      shifts.add(dx);
      expect([...pixels.subarray(0, 9)]).toEqual(Array.from({ length: 9 }, (_, x) => Math.min(Math.max(x + dx, 0), 8)));
    }
    expect([...shifts].sort((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2]);
  });

  it('shifts along the axes in the order of the image: rows, then columns', () => {
    const shifted = vary(
      { media: image, medium: imageMedium, input: imageMedium.inputLike(image) },
      { mirrored: false, shift: [2, 1] },
    ) as Image;
    const at = ({ pixels }: Image, y: number, x: number): number => pixels[(y * 9 + x) * 3]!;
    expect(at(shifted, 0, 0)).toBe(at(image, 2, 1));
    expect(at(shifted, 3, 5)).toBe(at(image, 5, 6));
    expect(at(shifted, 6, 8)).toBe(at(image, 6, 8));
  });

  it('leaves an image alone without options', () => {
    expect(augmented(image, {}, { seed: 1, epoch: 1, index: 1 })).toBe(image);
  });
});

/** A dataset that counts its reads. */
function counting(inner: Dataset): Dataset & { reads(): number } {
  let reads = 0;
  return {
    kind: inner.kind,
    medium: inner.medium,
    source: inner.source,
    fingerprint: inner.fingerprint,
    size: (split: Split) => inner.size(split),
    describe: (split: Split, index: number) => inner.describe(split, index),
    close: () => inner.close(),
    reads: () => reads,
    read: (split: Split, index: number): Promise<RawSample> => {
      reads++;
      return inner.read(split, index);
    },
  };
}
