// What is in memory while a dataset is encoded is bounded in bytes.
import { describe, expect, it } from 'vitest';
import sharp from 'sharp';
import type { Dataset, Image, RawSample } from '../../src/interfaces/index.js';
import { imageMedium } from '../../src/media/image/medium.js';
import { announcedExtent } from '../../src/media/image/extent.js';
import { ByteBudget, SampleFeed, weightOf } from '../../src/sdk/in-flight.js';
import type { Piece } from '../../src/sdk/in-flight.js';

const rawOf = (index: number, bytes: number): RawSample => ({
  key: String(index),
  source: String(index),
  content: { media: { kind: 'image', width: bytes, height: 1, channels: 1, pixels: new Uint8Array(bytes) } as Image },
  captions: [],
});

/** Samples of the sizes given. */
function datasetOf(sizes: readonly number[], onRead: (index: number) => void = () => undefined): Dataset {
  return {
    kind: 'memory',
    medium: 'image',
    source: 'test',
    fingerprint: '',
    size: () => sizes.length,
    read: async (_, index) => {
      onRead(index);
      return rawOf(index, sizes[index]!);
    },
    describe: (_, index) => ({ key: String(index), captions: [] }),
    close: async () => undefined,
  };
}

const LIMIT = 20 * 2 ** 20;
const MIB = 2 ** 20;

describe('the feed', () => {
  it('hands out no more than its bound, in order, and a larger sample alone', async () => {
    const sizes = Array.from({ length: 80 }, (_, i) => (i === 40 ? 3 * LIMIT : (1 + (i % 7)) * MIB));
    const feed = new SampleFeed(datasetOf(sizes), LIMIT);
    let [held, most, alone] = [0, 0, false];
    const keys: string[] = [];
    const take = async (batch: AsyncIterable<Piece>): Promise<void> => {
      for await (const { samples, release } of batch) {
        const bytes = samples.reduce((sum, sample) => sum + weightOf(sample, imageMedium), 0);
        held += bytes;
        if (bytes > LIMIT) alone = held === bytes;
        else most = Math.max(most, held);
        keys.push(...samples.map(({ key }) => key));
        setTimeout(() => {
          held -= bytes;
          release();
        }, 1);
      }
    };
    await Promise.all([0, 20, 40, 60].map((first) => take(feed.batch('train', first, 20))));
    expect(keys).toEqual(sizes.map((_, i) => String(i)));
    expect(alone).toBe(true);
    expect(most).toBeGreaterThan(LIMIT / 2);
    expect(most).toBeLessThanOrEqual(LIMIT);
  });

  it('reads only a few files ahead of what is released', async () => {
    let read = 0;
    const feed = new SampleFeed(
      datasetOf(new Array<number>(64).fill(8 * MIB), () => read++),
      LIMIT,
    );
    const pieces = feed.batch('train', 0, 64);
    await pieces.next();
    const second = pieces.next();
    await second;
    const third = pieces.next(); // waits for memory
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(read).toBeLessThan(12);
    feed.stop();
    expect((await third).done).toBe(true);
  });
});

it('a budget admits in the order of asking', async () => {
  const budget = new ByteBudget(10);
  const admitted: string[] = [];
  expect(budget.tryTake(8)).toBe(true);
  const large = budget.take(9).then(() => admitted.push('large'));
  const small = budget.take(1).then(() => admitted.push('small'));
  expect(budget.tryTake(1)).toBe(false);
  budget.give(8);
  await Promise.all([large, small]);
  expect(admitted).toEqual(['large', 'small']);
});

describe('the weight of a sample', () => {
  const picture = sharp({ create: { width: 320, height: 200, channels: 3, background: 'red' } });
  const raw = (bytes: Uint8Array): RawSample => ({ key: 'a', source: 'a', content: { bytes }, captions: [] });

  it.each([
    ['png', () => picture.png()],
    ['jpeg', () => picture.jpeg()],
    ['progressive jpeg', () => picture.jpeg({ progressive: true })],
    ['webp', () => picture.webp()],
    ['lossless webp', () => picture.webp({ lossless: true })],
    ['webp with alpha', () => picture.clone().ensureAlpha(0.5).webp()],
  ] as const)('counts the pixels that a %s announces', async (_, encoded) => {
    const bytes = new Uint8Array(await encoded().toBuffer());
    expect(announcedExtent(bytes)).toEqual({ width: 320, height: 200 });
    expect(weightOf(raw(bytes), imageMedium)).toBe(bytes.length + 320 * 200 * 3);
  });

  it('is guessed for others, and small for what will be refused', () => {
    expect(weightOf(raw(new Uint8Array(100)), imageMedium)).toBe(100 + 3200);
    expect(announcedExtent(Uint8Array.of(0xff, 0xd8, 0xff, 0xff, 0xff))).toBeUndefined();
  });
});
