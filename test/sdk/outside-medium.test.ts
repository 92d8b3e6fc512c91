// A medium from outside, through the whole SDK: series in NPY files, with a codec made of the package's own layers. Nothing of
// them is in src, and the plugin uses the public exports alone.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as tesserae from '../../src/index.js';
import register from '../support/series.mjs';
import type { Series } from '../support/series.mjs';
import { picture } from '../support/tiny.js';
import { series, wave, WAVE_SETTINGS, writeWaves } from '../support/waves.js';

const path = mkdtempSync(join(tmpdir(), 'tesserae-series-'));
const at = (...names: string[]): string => join(path, ...names);
afterAll(() => rmSync(path, { recursive: true, force: true }));

beforeAll(async () => {
  register(tesserae);
  await writeWaves(path);
  await tesserae.trainCodec({ data: at('data'), out: at('codec'), config: at('codec.json') });
  await tesserae.tokenize({ data: at('data'), codec: at('codec'), out: at('tokens'), workers: 0 });
  await tesserae.trainPrior({ tokens: at('tokens'), out: at('prior'), config: at('prior.json') });
}, 120_000);

describe('a medium from outside', () => {
  it('is found in a folder of its files, with classes and the official split', async () => {
    expect(await tesserae.inspect(at('data'))).toMatchObject({
      kind: 'dataset',
      medium: 'series',
      samples: { train: 30, test: 10 },
      first: { media: { kind: 'series', length: 40, channels: 2, interval: 0.02 } },
      summary: { media: 40, formats: { npy: 40 } },
    });
    expect(await tesserae.inspect(at('data', 'train', 'fast', '1.npy'))).toMatchObject({
      kind: 'sample',
      format: 'npy',
      media: { kind: 'series', length: 40 },
    });
  });

  it('trains a codec, with figures, rate and report of its own', async () => {
    const evaluation = await tesserae.evaluateCodec({ codec: at('codec'), data: at('data') });
    expect(evaluation).toMatchObject({
      samples: 10,
      quality: { correlation: expect.any(Number) as number },
      // Eight codes of five bits for 32 frames of 20 ms.
      rate: { name: 'bitsPerSecond', nominal: (8 * 5) / (32 * 0.02) },
    });
    expect(evaluation.nmse).toBeLessThan(0.5);
    expect(evaluation.quality['correlation']).toBeGreaterThan(0.7);
    expect(tesserae.readModelCard(at('codec')).metrics).toMatchObject({
      correlation: evaluation.quality['correlation'],
    });
    const report = readFileSync(at('codec', 'report.html'), 'utf8');
    expect(report).toContain('Held-out series, which training never saw, and what the codec makes of them.');
    expect(report).toContain('<polyline');
    expect(report).toContain('Bits per second');
    expect(existsSync(at('codec', 'reconstructions.svg'))).toBe(true);
  });

  it('tokenizes, and tokens keep what is known of each sample', async () => {
    const tokens = await tesserae.ShardReader.open(at('tokens'));
    expect(tokens.maps).toEqual([{ name: 'codes', grid: [8], levels: 1, vocabSize: 32 }]);
    const { media } = (await tokens.read('train', 0)).tokens;
    expect(media).toEqual({ kind: 'series', length: 40, channels: 2, interval: 0.02 });
    await tokens.close();
  });

  it('generates and writes samples, each to a file of its own', async () => {
    const generated = await tesserae.generate({
      prior: at('prior'),
      prompts: ['slow', 'fast'],
      sampling: { seed: 1 },
      medium: series,
    });
    expect(generated.media.map((one) => [one.kind, one.interval, one.values.length])).toEqual([
      ['series', 0.02, 64],
      ['series', 0.02, 64],
    ]);
    const neighbors = await tesserae.nearestNeighbors(generated.media, at('data'));
    expect(neighbors[0]!.media.values).toHaveLength(64);
    const files = await tesserae.writeGenerated(at('generated'), generated, { neighbors });
    expect(files.map((file) => file.slice(at('generated').length + 1))).toEqual([
      '00000.npy',
      '00000-nearest.npy',
      '00001.npy',
      '00001-nearest.npy',
    ]);
    expect(await tesserae.inspect(at('generated'))).toMatchObject({
      kind: 'samples',
      made: { medium: 'series', samples: 2, prompts: ['slow', 'fast'], sampling: { seed: 1 } },
    });
    await expect(tesserae.writeMedia(at('two.npy'), generated.media)).rejects.toThrow(
      /E_OUTPUT_NAME .*expected a directory for 2 series/,
    );
    await tesserae.writeMedia(at('one.npy'), generated.media.slice(0, 1));
    expect((await series.files.decode(readFileSync(at('one.npy')), 'one.npy')).media).toEqual(generated.media[0]);
    expect(readFileSync(at('prior', 'samples.svg'), 'utf8')).toContain('<polyline');
  });

  it('continues the beginning of a sample', async () => {
    const codes = await tesserae.primeCodes({ prior: at('prior'), sample: wave(3), rows: 3 });
    const codec = await tesserae.loadCodec(at('codec'), { medium: series });
    expect([...codes]).toEqual([...(await codec.encode(wave(3))).maps[0]!.ids.subarray(0, 3)]);
    codec.dispose();
  });

  it('decodes tokens into a dataset again', async () => {
    const decoded = await tesserae.decodeTokens({ tokens: at('tokens'), out: at('decoded') });
    expect(decoded).toMatchObject({ medium: 'series', samples: 40 });
    const dataset = await tesserae.openDataset(at('decoded'));
    expect([dataset.medium, dataset.size('train'), dataset.size('test')]).toEqual(['series', 30, 10]);
    await dataset.close();
  });

  it('compares codecs', async () => {
    await tesserae.trainCodec({ data: at('data'), out: at('other'), config: at('other.json') });
    const comparison = await tesserae.compareCodecs({ codecs: [at('codec'), at('other')], data: at('data') });
    expect(comparison.codecs.map(({ shape }) => shape)).toEqual([
      [32, 2],
      [16, 2],
    ]);
    const report = await tesserae.comparisonReport(comparison);
    for (const text of ['Best correlation', 'Bits per second', '<polyline']) expect(report).toContain(text);
    const image = join(import.meta.dirname, '../../fixtures/models/shapes');
    await expect(tesserae.compareCodecs({ codecs: [at('codec'), image], data: at('data') })).rejects.toThrow(
      /E_COMPARE .*expected a codec of the medium "series"/,
    );
  });

  it('keeps series of any length in tiles', async () => {
    await tesserae.trainCodec({ data: at('data'), out: at('lengths'), config: at('lengths.json') });
    const [tiled, whole] = [
      await tesserae.loadCodec(at('lengths'), { medium: series, tile: 64 }),
      await tesserae.loadCodec(at('lengths'), { medium: series, tile: 4096 }),
    ];
    for (const length of [5, 64, 333]) {
      const tokens = await whole.encode(wave(1, length));
      expect(tokens.maps[0]!.grid).toEqual([Math.ceil(length / 4)]);
      expect(await tiled.encode(wave(1, length))).toEqual(tokens);
      expect((await tiled.decode(tokens)).values).toHaveLength(2 * length);
    }
    for (const codec of [tiled, whole]) codec.dispose();
  });

  it('exports networks that name its tensors', async () => {
    await tesserae.exportModel({ model: at('codec'), out: at('onnx') });
    expect(await tesserae.inspect(at('onnx'))).toMatchObject({
      kind: 'export',
      functions: [
        { name: 'encoder', inputs: ['series [batch, 32, 2]'] },
        { name: 'decoder', outputs: ['series [batch, 32, 2]'] },
      ],
    });
  });

  it('names samples that it cannot use, and leaves them out on request', async () => {
    const bad = at('bad-data', 'train');
    mkdirSync(bad, { recursive: true });
    const write = async (name: string, media: Series): Promise<void> =>
      writeFileSync(join(bad, `${name}.npy`), await series.files.encode(media));
    await write('good', wave(1));
    await write('nan', { ...wave(2), values: wave(2).values.fill(Number.NaN, 7, 8) });
    await write('narrow', { ...wave(3), channels: 1 });
    const job = { data: at('bad-data'), codec: at('codec'), out: at('bad-tokens'), workers: 0 };
    await expect(tesserae.tokenize(job)).rejects.toThrow(
      /E_MEDIA_NOT_FINITE .*nan\.npy: expected finite values, found NaN at 7\./,
    );
    const rejects: string[] = [];
    const onReject = (error: Error): void => void rejects.push(error.message);
    const { samples, rejected } = await tesserae.tokenize({ ...job, force: true, skipBad: true, onReject });
    expect([samples.train + samples.test, rejected]).toEqual([1, 2]);
    expect(rejects).toEqual([
      expect.stringMatching(/^E_MEDIA_NOT_FINITE .*nan\.npy/),
      expect.stringMatching(/^E_SERIES_SHAPE .*narrow\.npy: series: expected 2 channels, received 1/),
    ]);
    const codec = await tesserae.loadCodec(at('codec'), { medium: series });
    const infinite = { ...wave(2), values: wave(2).values.fill(Infinity, 3, 4) };
    await expect(codec.encode([wave(1), infinite])).rejects.toThrow(
      'E_MEDIA_NOT_FINITE encode[1]: expected finite values, found Infinity at 3.',
    );
    codec.dispose();
  });

  it('refuses what does not fit it', async () => {
    const imageCodec = join(import.meta.dirname, '../../fixtures/models/shapes');
    await expect(tesserae.loadCodec(imageCodec, { medium: series })).rejects.toThrow(/E_DATA_MEDIUM .*"series"/);
    await expect(tesserae.codeMap({ codec: at('codec'), sample: wave(0) })).rejects.toThrow(/E_CODE_MAP .*"series"/);
    await expect(tesserae.interpolate({ codec: at('codec'), from: wave(0), to: wave(1) })).rejects.toThrow(
      /E_NO_LATENTS/,
    );
    const images = tesserae.memoryDataset([{ key: 'a', media: picture(0), captions: [] }]);
    await expect(tesserae.evaluateCodec({ codec: at('codec'), data: images })).rejects.toThrow(
      /E_DATA_MEDIUM .*"series".*received "image"/,
    );
    writeFileSync(at('bad.json'), JSON.stringify({ ...WAVE_SETTINGS.codec, training: { steps: 2, adversarial: {} } }));
    await expect(tesserae.trainCodec({ data: at('data'), out: at('bad'), config: at('bad.json') })).rejects.toThrow(
      /E_NOT_IMAGES training\.adversarial: expected samples \[rows, columns, 1 or 3\], received \[32, 2\]/,
    );
    expect(readdirSync(path)).not.toContain('bad.npy');
  });
});
