import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareCodecs, memoryDataset, resizeImage, tokenize, trainCodec, trainPrior } from '../../src/index.js';
import type { CodecComparison, Dataset, Image } from '../../src/index.js';
import { imageMedium } from '../../src/media/image/medium.js';
import { comparisonColumns, comparisonReport } from '../../src/sdk/compare-report.js';
import { shortNames } from '../../src/sdk/compare.js';
import { picture } from '../support/tiny.js';
import { colors, networkBytes } from '../features/networks.js';

const path = mkdtempSync(join(tmpdir(), 'tesserae-compare-'));
const at = (...names: string[]): string => join(path, ...names);
afterAll(() => rmSync(path, { recursive: true, force: true }));

const NETWORK = { hidden: 8, residualLayers: 1, residualHidden: 4 };
const QUANTIZER = { codebookSize: 16, codeDim: 4 };
const CODECS: Record<string, { codec: string; config: Record<string, unknown> }> = {
  small: {
    codec: 'vqvae',
    config: { height: 8, width: 8, channels: 1, downsample: 4, ...NETWORK, quantizer: QUANTIZER },
  },
  large: {
    codec: 'vqvae',
    config: { height: 16, width: 16, channels: 3, downsample: 4, ...NETWORK, quantizer: QUANTIZER },
  },
  continuous: { codec: 'vae', config: { height: 8, width: 8, channels: 1, ...NETWORK } },
};

let dataset: Dataset;
let comparison: CodecComparison;

beforeAll(async () => {
  dataset = memoryDataset(
    Array.from({ length: 40 }, (_, i) => ({
      key: `p${i}`,
      media: picture(i, 8, 3),
      captions: ['a square'],
      split: i % 4 === 0 ? ('test' as const) : ('train' as const),
    })),
  );
  for (const [name, settings] of Object.entries(CODECS)) {
    writeFileSync(
      at(`${name}.json`),
      JSON.stringify({
        ...settings,
        training: { steps: 2, batchSize: 4, warmupSteps: 1, evalEvery: 100, checkpointEvery: 100 },
      }),
    );
    await trainCodec({ data: dataset, out: at(name), config: at(`${name}.json`) });
  }
  writeFileSync(at('network.onnx'), await networkBytes(colors, { open: { 0: 'batch', 2: 'height', 3: 'width' } }));
  comparison = await compareCodecs({
    codecs: Object.keys(CODECS).map((name) => at(name)),
    data: dataset,
    features: at('network.onnx'),
  });
}, 60_000);

describe('compareCodecs', () => {
  it('measures each codec at its own size', () => {
    const [small, large, continuous] = comparison.codecs;
    expect(small).toMatchObject({
      name: 'small',
      family: 'vqvae',
      shape: [8, 8, 1],
      units: 64,
      samples: 10,
      rate: { name: 'bitsPerPixel', nominal: (4 * 4) / 64 },
      rfid: expect.any(Number) as number,
    });
    expect(large).toMatchObject({
      name: 'large',
      shape: [16, 16, 3],
      samples: 10,
      rate: { nominal: (16 * 4) / 256 },
    });
    expect(continuous).toMatchObject({
      name: 'continuous',
      family: 'vae',
      maps: [],
      measures: { bitsPerDim: expect.any(Number) as number },
    });
    expect(continuous).not.toHaveProperty('rate');
    for (const { encodedPerSecond } of comparison.codecs) expect(encodedPerSecond).toBeGreaterThan(1);
  });

  it('shows the same images at the size of the largest codec', async () => {
    const { examples } = comparison;
    expect(examples.map(({ name }) => name)).toEqual(['originals', 'small', 'large', 'continuous']);
    for (const { media } of examples)
      expect(media.map((image) => imageMedium.samplesOf(image as Image).shape)).toEqual(new Array(8).fill([16, 16, 3]));
    const held = await Promise.all(
      [0, 4, 8].map((i) => resizeImage(picture(i, 8, 3), { width: 16, height: 16, resize: 'contain' })),
    );
    expect(examples[0]!.media.slice(0, 3)).toEqual(held);
  });

  it('tells progress over all of them', async () => {
    const told: number[][] = [];
    await compareCodecs({
      codecs: [at('small'), at('large')],
      data: dataset,
      onProgress: (done, total) => told.push([done, total]),
    });
    expect(told).toEqual([
      [10, 20],
      [20, 20],
    ]);
  });

  it.each<[string, () => string[], RegExp]>([
    [
      'fewer than two codecs',
      () => [at('small')],
      /E_COMPARE CODEC: expected at least two codecs, received 1\. For one there is "tesserae eval codec"/,
    ],
    [
      'a codec twice',
      () => [at('small'), at('large'), `${at('small')}/`],
      /E_COMPARE CODEC .*small\/: expected another codec than .*small, received the same/,
    ],
    ['one that is missing', () => [at('small'), at('nowhere')], /E_NOT_FOUND .*nowhere/],
  ])('refuses %s', async (_, codecs, message) => {
    await expect(compareCodecs({ codecs: codecs(), data: dataset })).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(message) as string,
    });
  });

  it('refuses a prior that carries no codec, and takes the codec of one that does', async () => {
    await tokenize({ data: dataset, codec: at('small'), out: at('tokens'), workers: 0 });
    writeFileSync(
      at('prior.json'),
      JSON.stringify({
        config: { nLayer: 1, nHead: 2, nEmbd: 16 },
        text: { vocabSize: 300 },
        training: { steps: 1, batchSize: 4, warmupSteps: 1, evalEvery: 100, checkpointEvery: 100 },
      }),
    );
    await trainPrior({ tokens: at('tokens'), out: at('prior'), config: at('prior.json') });
    await expect(compareCodecs({ codecs: [at('small'), at('prior')], data: dataset })).rejects.toMatchObject({
      code: 'E_COMPARE',
    });
    rmSync(at('prior', 'codec'), { recursive: true });
    await expect(compareCodecs({ codecs: [at('small'), at('prior')], data: dataset })).rejects.toMatchObject({
      code: 'E_NO_CODEC',
      exitCode: 2,
    });
  });
});

describe('the report of a comparison', () => {
  it('stands alone: table, plot and a row of images a codec', async () => {
    const html = await comparisonReport(comparison);
    expect(html).not.toMatch(/<script src|(src|href)="(?!data:|#about-)|url\(/);
    // Originals and three rows of reconstructions.
    const pictures = html.split(' src="data:image/png;base64,').length - 1;
    expect(pictures).toBe(4 * (html.split('alt="Original, ').length - 1));
    expect(pictures).toBeGreaterThan(0);
    expect(html).toMatch(/<th[^>]*><a class="term" href="#about-bitsPerPixelByEntropy"[^>]*>By entropy<\/a><\/th>/);
    // Dots with their names; where the codec without codes stands is explained below.
    expect(html.split('<circle').length - 1).toBe(3);
    for (const name of ['small', 'large', 'continuous']) expect(html).toMatch(new RegExp(`<text[^>]*>${name}</text>`));
    expect(html).toMatch(/Without codes, at the bits that their latents carry[^<]*: continuous\./);
    const [small, , continuous] = comparison.codecs;
    const withoutRate = await comparisonReport({ ...comparison, codecs: [small!, { ...continuous!, measures: {} }] });
    expect(withoutRate.split('<circle').length - 1).toBe(1);
    expect(withoutRate).toContain('Without a rate: continuous.');
    expect(html).toContain('network.onnx');
  });

  it('escapes what comes from outside', async () => {
    const [small, ...others] = comparison.codecs;
    const html = await comparisonReport({
      ...comparison,
      data: '<script>alert(1)</script>',
      codecs: [{ ...small!, name: '<b>', path: '"&' }, ...others],
    });
    expect(html).not.toMatch(/<script>alert|<b>/);
  });

  it('leaves out columns that no codec has', () => {
    const names = (codecs: CodecComparison['codecs']): string[] =>
      comparisonColumns({ codecs, medium: 'image' }).map(([name]) => name);
    expect(names(comparison.codecs)).toEqual([
      'codec',
      'family',
      'images',
      'bits per pixel',
      'by entropy',
      'NMSE',
      'PSNR, dB',
      'SSIM',
      'sharpness',
      'usage',
      'rFID',
      'bitsPerDim',
      'klBits',
      'encoded/s',
    ]);
    expect(names([{ ...comparison.codecs[0]!, rfid: undefined }])).toEqual([
      'codec',
      'family',
      'images',
      'bits per pixel',
      'by entropy',
      'NMSE',
      'PSNR, dB',
      'SSIM',
      'sharpness',
      'usage',
      'encoded/s',
    ]);
  });
});

describe('shortNames', () => {
  it('takes as much of the end of each path as tells them apart', () => {
    expect(shortNames(['runs/a', 'runs/b/'])).toEqual(['a', 'b']);
    expect(shortNames(['one/codec', './two/codec'])).toEqual(['one/codec', 'two/codec']);
    expect(shortNames(['codec', 'runs/codec'])).toEqual(['codec', 'runs/codec']);
  });
});
