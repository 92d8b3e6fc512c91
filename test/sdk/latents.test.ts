import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { saveModel } from '../../src/checkpoint/model.js';
import { buildProgram } from '../../src/cli/program.js';
import { Session } from '../../src/cli/session.js';
import { tf } from '../../src/engine/index.js';
import { codeMap, decodeImage, encodePng, interpolate, loadCodec, registerCodec, traverse } from '../../src/index.js';
import type { CodecFamily, Image } from '../../src/index.js';
import { codecFamily } from '../../src/registry.js';
import { noise } from '../media/image/fixtures.js';
import { freshTensors, maxDifference, temporaryDirectory, TINY_CODEC } from '../support/tiny.js';

/** Pictures of 2 x 2 pixels that are their own latents, [4], or [2, 2, 1] as a grid. */
function identity(name: string, shape: number[]): CodecFamily {
  const refuse = (): never => {
    throw new Error('not needed here');
  };
  return {
    name,
    medium: 'image',
    parseConfig: () => ({}),
    input: () => ({ height: 2, width: 2, channels: 1, background: [255, 255, 255], resize: 'fill' }),
    maps: () => [],
    trainable: () => ({}),
    state: () => ({}),
    initialize: refuse,
    loss: refuse,
    encode: refuse,
    decode: refuse,
    latents: {
      shapes: () => [shape],
      encode: (_, x) => [tf.reshape(x, [-1, ...shape])],
      decode: (_, [z]) => tf.reshape(z!, [-1, 2, 2, 1]),
    },
  };
}

registerCodec(identity('identity', [4]));
registerCodec(identity('identity-grid', [2, 2, 1]));
registerCodec({
  ...identity('identity-rows', []),
  // The upper row as a vector, the lower as a grid.
  latents: {
    shapes: () => [[2], [1, 2, 1]],
    encode: (_, x) => tf.split(x, 2, 1).map((row, i) => tf.reshape(row, i === 0 ? [-1, 2] : [-1, 1, 2, 1])),
    decode: (_, rows) =>
      tf.concat(
        rows.map((row) => tf.reshape(row, [-1, 1, 2, 1])),
        1,
      ) as tf.Tensor4D,
  },
});
registerCodec({ ...identity('opaque', [4]), latents: undefined });

/** A model directory of a fresh codec. */
function stored(name: string, json: Record<string, unknown> = {}): string {
  const directory = temporaryDirectory();
  const family = codecFamily(name);
  const config = family.parseConfig(json);
  const tensors = freshTensors({ ...family.trainable(config), ...family.state(config) }, 3);
  saveModel(
    directory,
    { kind: 'codec', name, config: config as Record<string, unknown>, maps: family.maps(config) },
    tensors,
  );
  return directory;
}

const square = (...pixels: number[]): Image => ({
  kind: 'image',
  width: 2,
  height: 2,
  channels: 1,
  pixels: Uint8Array.from(pixels),
});
const pixelsOf = (images: readonly Image[]): number[][] => images.map(({ pixels }) => [...pixels]);

describe('interpolate', () => {
  const [dark, bright] = [square(0, 0, 100, 255), square(100, 200, 100, 255)];

  it('goes straight from one image to the other', async () => {
    const images = await interpolate({ codec: stored('identity'), from: dark, to: bright, steps: 5, path: 'linear' });
    expect(pixelsOf(images)).toEqual([0, 25, 50, 75, 100].map((value) => [value, 2 * value, 100, 255]));
  });

  it('goes along a great circle, at one length between ends of one length, and by default without codes', async () => {
    const ends = { from: square(255, 0, 255, 255), to: square(255, 255, 0, 255) };
    const codec = stored('identity');
    const images = await interpolate({ codec, ...ends, steps: 3, path: 'spherical' });
    expect(pixelsOf(await interpolate({ codec, ...ends, steps: 3 }))).toEqual(pixelsOf(images));
    // Ends (1, -1, 1, 1) and (1, 1, -1, 1) are at a right angle: the middle is (1, 0, 0, 1) lengthened from sqrt 2 to 2, clipped.
    expect(pixelsOf(images)).toEqual([[...ends.from.pixels], [255, 128, 128, 255], [...ends.to.pixels]]);
    const [, straight] = await interpolate({ codec, ...ends, steps: 3, path: 'linear' });
    expect([...straight!.pixels]).toEqual([255, 128, 128, 255]);
    const soft = { from: square(160, 96, 160, 160), to: square(160, 160, 96, 160) };
    const [, middle] = await interpolate({ codec, ...soft, steps: 3 });
    const level = (value: number): number => Math.round((Math.SQRT2 * (value / 127.5 - 1) + 1) * 127.5);
    expect(maxDifference(middle!.pixels, [level(160), 128, 128, level(160)])).toBeLessThanOrEqual(1);
  });

  it('goes nowhere between an image and itself', async () => {
    expect(pixelsOf(await interpolate({ codec: stored('identity'), from: dark, to: dark, steps: 2 }))).toEqual(
      pixelsOf([dark, dark]),
    );
  });

  it('begins and ends with the reconstructions of a codec with codes', async () => {
    const directory = stored('vqvae', TINY_CODEC);
    const [from, to] = [noise(8, 8, 1), noise(20, 8, 1)];
    const images = await interpolate({ codec: directory, from, to, steps: 20 });
    const codec = await loadCodec(directory);
    const ends = (await codec.decode(await codec.encode([from, to]))) as Image[];
    codec.dispose();
    expect(images).toHaveLength(20);
    expect(maxDifference(images[0]!.pixels, ends[0]!.pixels)).toBeLessThanOrEqual(1);
    expect(maxDifference(images[19]!.pixels, ends[1]!.pixels)).toBeLessThanOrEqual(1);
  });

  it('cuts images that would keep their sizes to one', async () => {
    const images = await interpolate({
      codec: stored('vqvae', { ...TINY_CODEC, resize: 'none' }),
      from: noise(30, 11, 1),
      to: noise(9, 9, 1),
      steps: 2,
    });
    expect(images.map(({ width, height }) => [width, height])).toEqual([
      [8, 8],
      [8, 8],
    ]);
  });
});

describe('traverse', () => {
  it('varies one dimension a row around the image', async () => {
    const {
      media: images,
      columns,
      dims,
      offsets,
    } = await traverse({
      codec: stored('identity'),
      sample: square(102, 153, 51, 0),
      dims: [1, 2],
      steps: 3,
      range: 0.4,
    });
    expect({ columns, dims, offsets }).toEqual({ columns: 3, dims: [1, 2], offsets: [-0.4, 0, 0.4] });
    expect(pixelsOf(images)).toEqual([
      [102, 102, 51, 0],
      [102, 153, 51, 0],
      [102, 204, 51, 0],
      [102, 153, 0, 0],
      [102, 153, 51, 0],
      [102, 153, 102, 0],
    ]);
  });

  it('varies two dimensions as a phase diagram', async () => {
    const { media: images } = await traverse({
      codec: stored('identity'),
      sample: square(102, 102, 51, 0),
      dims: [0, 1],
      grid: true,
      steps: 2,
      range: 0.4,
    });
    expect(pixelsOf(images)).toEqual([
      [51, 51, 51, 0],
      [51, 153, 51, 0],
      [153, 51, 51, 0],
      [153, 153, 51, 0],
    ]);
  });

  it('varies a dimension of a grid of latents at all positions', async () => {
    const { media: images, dims } = await traverse({
      codec: stored('identity-grid'),
      sample: square(102, 153, 51, 102),
      steps: 2,
      range: 0.4,
    });
    expect(dims).toEqual([0]);
    expect(pixelsOf(images)).toEqual([
      [51, 102, 0, 51],
      [153, 204, 102, 153],
    ]);
  });

  it.each([
    ['vector', 3],
    ['grid', 2],
  ])('varies the dimensions of a VAE whose latents are a %s', async (kind, size) => {
    const { quantizer: _, ...config } = TINY_CODEC;
    const codec = stored('vae', { ...config, latent: { kind, size } });
    const picture = noise(8, 8, 1);
    const { media: images, dims } = await traverse({ codec, sample: picture, steps: 3, range: 50 });
    expect(dims).toEqual(Array.from({ length: size }, (_, i) => i));
    const [middle] = await interpolate({ codec, from: picture, to: picture, steps: 2 });
    for (let row = 0; row < size; row++) {
      expect(maxDifference(images[3 * row + 1]!.pixels, middle!.pixels)).toBeLessThanOrEqual(1);
      expect(images[3 * row]!.pixels).not.toEqual(images[3 * row + 2]!.pixels);
    }
  });

  it('counts the dimensions of a second grid after those of the first', async () => {
    const picture = square(102, 153, 51, 102);
    const traversed = await traverse({
      codec: stored('identity-rows'),
      sample: picture,
      dims: [0, 2],
      steps: 2,
      range: 0.4,
    });
    expect(pixelsOf(traversed.media)).toEqual([
      [51, 153, 51, 102],
      [153, 153, 51, 102],
      [102, 153, 0, 51],
      [102, 153, 102, 153],
    ]);
    await expect(traverse({ codec: stored('identity-rows'), sample: picture, dims: [3] })).rejects.toThrow(
      /expected dimensions from 0 to 2, received 3/,
    );
    expect(
      pixelsOf(await interpolate({ codec: stored('identity-rows'), from: picture, to: picture, steps: 2 })),
    ).toEqual(pixelsOf([picture, picture]));
  });

  it.each([
    [{ dims: [4] }, /E_LATENTS dims: expected dimensions from 0 to 3, received 4\./],
    [{ dims: [] }, /E_LATENTS dims: expected at least one/],
    [{ dims: [1, 1], grid: true }, /E_LATENTS dims: expected two different ones for a grid, received 1, 1\./],
    [{ dims: [1], grid: true }, /E_LATENTS dims: expected two different/],
    [{ steps: 1 }, /E_LATENTS steps: expected a whole number from 2 to 1024, received 1\./],
    [{ range: 0 }, /E_LATENTS traverse\(range\): expected a number above 0, received 0\./],
  ])('refuses %j', async (options, message) => {
    await expect(traverse({ codec: stored('identity'), sample: square(1, 2, 3, 4), ...options })).rejects.toThrow(
      message,
    );
  });
});

describe('codeMap', () => {
  it('colors each code’s cell, and counts the codes', async () => {
    const directory = stored('vqvae', TINY_CODEC);
    const picture = noise(8, 8, 1);
    const { overlay, codes, grid, name, sample: seen } = await codeMap({ codec: directory, sample: picture });
    const codec = await loadCodec(directory);
    const { ids } = (await codec.encode(picture)).maps[0]!;
    codec.dispose();
    expect({ name, grid }).toEqual({ name: 'codes', grid: [4, 4] });
    // Codes of 2 x 2 pixels are enlarged to 8 x 8.
    expect([overlay.width, overlay.height, seen.width, seen.channels]).toEqual([32, 32, 32, 1]);
    expect(codes.reduce((sum, { count }) => sum + count, 0)).toBe(16);
    expect(codes.map(({ count }) => count)).toEqual(codes.map(({ count }) => count).sort((a, b) => b - a));
    for (const [cell, id] of ids.entries()) {
      const { color } = codes.find((one) => one.id === id)!;
      const at = (Math.floor(cell / 4) * 8 + 4) * 32 + (cell % 4) * 8 + 4;
      expect([...overlay.pixels.subarray(at * 3, at * 3 + 3)]).toEqual(
        color.map((value) => Math.floor(0.55 * value + 0.45 * seen.pixels[at]!)),
      );
    }
  });

  it('gives ids next to each other different colors', async () => {
    const { codes } = await codeMap({
      codec: stored('vqvae', { ...TINY_CODEC, height: 64, width: 64 }),
      sample: noise(64, 64, 1),
    });
    expect(codes.length).toBeGreaterThan(5);
    expect(new Set(codes.map(({ color }) => color.join())).size).toBe(codes.length);
  });

  it('covers an image that keeps its size up to its true border', async () => {
    const { overlay, grid } = await codeMap({
      codec: stored('vqvae', { ...TINY_CODEC, resize: 'none' }),
      sample: noise(13, 5, 1),
    });
    expect({ width: overlay.width, height: overlay.height, grid }).toEqual({ width: 52, height: 20, grid: [3, 7] });
  });

  it('refuses codecs without codes, and maps and levels there are not', async () => {
    const picture = noise(8, 8, 1);
    await expect(codeMap({ codec: stored('identity'), sample: picture })).rejects.toThrow(
      /E_NO_CODES .*expected a codec with codes, received identity/,
    );
    await expect(codeMap({ codec: stored('vqvae', TINY_CODEC), sample: picture, map: 'top' })).rejects.toThrow(
      /E_CODE_MAP code map: expected map codes, received "top"/,
    );
    await expect(codeMap({ codec: stored('vqvae', TINY_CODEC), sample: picture, level: 1 })).rejects.toThrow(
      /E_CODE_MAP code map\(level\): expected one from 0 to 0, received 1/,
    );
  });
});

describe('tesserae latents', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tesserae-latents-'));
  const at = (name: string): string => join(folder, name);

  const run = async (...args: string[]): Promise<string> => {
    const written: string[] = [];
    const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0);
    try {
      await buildProgram(new Session()).parseAsync(['latents', ...args], { from: 'user' });
    } finally {
      spy.mockRestore();
    }
    return written.join('');
  };
  /** Expects rows of images of one side, enlarged by a whole factor, with gaps of 2. */
  const expectGrid = async (
    name: string,
    { columns, rows, side }: { columns: number; rows: number; side: number },
  ): Promise<void> => {
    const { width, height } = await decodeImage(readFileSync(at(name)), name);
    const cell = (width - 2) / columns - 2;
    expect(cell % side).toBe(0);
    expect(cell).toBeGreaterThan(side);
    expect([width, height]).toEqual([2 + columns * (cell + 2), 2 + rows * (cell + 2)]);
  };

  beforeAll(async () => {
    writeFileSync(at('a.png'), await encodePng(noise(8, 8, 1)));
    writeFileSync(at('b.png'), await encodePng(noise(12, 9, 3)));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('writes the way between two images, a traversal, a phase diagram and a code map', async () => {
    const codec = stored('vqvae', TINY_CODEC);
    expect(
      await run('interpolate', at('a.png'), at('b.png'), '--codec', codec, '--out', at('way.png'), '-n', '5'),
    ).toMatch(/^5 images from .*way\.png\n$/);
    await expectGrid('way.png', { columns: 5, rows: 1, side: 8 });
    expect(
      await run('traverse', at('a.png'), '--codec', codec, '--out', at('dims.png'), '--dims', '3,0', '-n', '3'),
    ).toContain('one row for each of the dimensions 3, 0, from -3 to +3');
    await expectGrid('dims.png', { columns: 3, rows: 2, side: 8 });
    expect(
      await run(
        'traverse',
        at('a.png'),
        '--codec',
        codec,
        '--out',
        at('phase.png'),
        '--grid',
        '-n',
        '4',
        '--range',
        '0.5',
      ),
    ).toContain('dimension 0 vertically, 1 horizontally, from -0.5');
    await expectGrid('phase.png', { columns: 4, rows: 4, side: 8 });
    expect(await run('codes', at('b.png'), '--codec', codec, '--out', at('codes.png'))).toMatch(
      /^16 codes of map codes, \d+ distinct, in .*\n +\d+ {2}#[0-9a-f]{6} {2}\d+ times\n/,
    );
    await expectGrid('codes.png', { columns: 2, rows: 1, side: 32 });
    expect(
      JSON.parse(await run('codes', at('b.png'), '--codec', codec, '--out', at('codes.png'), '--force', '--json')),
    ).toMatchObject({ kind: 'code-map', name: 'codes', grid: [4, 4] });
  });

  it('refuses in one line what it cannot do', async () => {
    const codec = stored('vqvae', TINY_CODEC);
    const cases: [string[], RegExp][] = [
      [
        ['interpolate', at('a.png'), at('no.png'), '--codec', codec, '--out', at('x.png')],
        /^E_NOT_FOUND <to> .*no\.png: expected a file or directory, found nothing/,
      ],
      [
        ['interpolate', at('a.png'), at('b.png'), '--codec', at('nowhere'), '--out', at('x.png')],
        /^E_NOT_FOUND --codec/,
      ],
      [
        ['interpolate', at('a.png'), at('b.png'), '--codec', codec, '--out', at('x.gif')],
        /^E_OUTPUT_NAME --out .*expected a \.png/,
      ],
      [['interpolate', at('a.png'), at('b.png'), '--codec', codec, '--out', at('a.png')], /^E_SAME_PATH --out/],
      [
        ['interpolate', at('a.png'), at('b.png'), '--codec', codec, '--out', at('x.png'), '-n', '1'],
        /^E_OPTION --steps: expected a whole number of at least 2/,
      ],
      [
        ['interpolate', at('a.png'), at('b.png'), '--codec', stored('opaque'), '--out', at('x.png')],
        /^E_NO_LATENTS .*expected a codec with a latent space, received opaque/,
      ],
      [
        ['traverse', at('a.png'), '--codec', codec, '--out', at('x.png'), '--dims', '1,x'],
        /^E_OPTION --dims: expected whole numbers from 0, received "x"/,
      ],
      [
        ['traverse', at('a.png'), '--codec', codec, '--out', at('x.png'), '--dims', '99'],
        /^E_LATENTS dims: expected dimensions from 0 to 3, received 99/,
      ],
      [['codes', at('a.png'), '--codec', stored('identity'), '--out', at('x.png')], /^E_NO_CODES/],
      [['codes', at('a.png'), '--codec', codec, '--out', at('b.png')], /^E_OUTPUT_EXISTS --out .*Pass --force/],
    ];
    for (const [args, message] of cases) await expect(run(...args)).rejects.toThrow(message);
  });
});
