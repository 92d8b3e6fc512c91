import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeImage, encodeGenerated, imageMedium, writeGenerated, writeMedia } from '../../src/index.js';
import type { EncodeGeneratedOptions, Generated, Image } from '../../src/index.js';
import { freeName } from '../../src/sdk/output-names.js';
import { picture, temporaryDirectory } from '../support/tiny.js';

const images = [0, 1, 2].map((i) => picture(i, 8, 3));

describe('writeMedia', () => {
  it('writes one file for each image into a directory', async () => {
    const out = join(temporaryDirectory(), 'new');
    const paths = await writeMedia(out, images);
    expect(paths).toEqual(['00000.png', '00001.png', '00002.png'].map((name) => join(out, name)));
    for (const [i, path] of paths.entries())
      expect((await decodeImage(readFileSync(path), path)).pixels).toEqual(images[i]!.pixels);
  });

  it('writes nothing into a directory that holds one of the files, unless forced', async () => {
    const out = temporaryDirectory();
    writeFileSync(join(out, '00002.png'), 'mine');
    await expect(writeMedia(out, images)).rejects.toMatchObject({
      code: 'E_OUTPUT_EXISTS',
      exitCode: 2,
      message: expect.stringContaining('00002.png'),
    });
    expect(readdirSync(out)).toEqual(['00002.png']);
    expect(readFileSync(join(out, '00002.png'), 'utf8')).toBe('mine');
    expect(await writeMedia(out, images, { force: true })).toHaveLength(3);
    expect(readFileSync(join(out, '00002.png'), 'utf8')).not.toBe('mine');
  });

  it('writes a single image as it is to a .png, and leaves one that exists', async () => {
    const path = join(temporaryDirectory(), 'one.png');
    await writeMedia(path, images.slice(0, 1));
    expect((await decodeImage(readFileSync(path), path)).pixels).toEqual(images[0]!.pixels);
    await expect(writeMedia(path, images)).rejects.toMatchObject({ code: 'E_OUTPUT_EXISTS' });
  });
});

describe('writeMedia of other formats', () => {
  it.each(['jpg', 'jpeg', 'webp', 'PNG'])('writes a .%s', async (extension) => {
    const path = join(temporaryDirectory(), `new/one.${extension}`);
    await writeMedia(path, images.slice(0, 1));
    const bytes = readFileSync(path);
    const format = { jpg: 'jpeg', PNG: 'png' }[extension] ?? extension;
    expect(imageMedium.files.sniff(bytes)).toBe(format);
    expect(await decodeImage(bytes, path)).toMatchObject({ width: 8, height: 8 });
  });

  it('enlarges by whole factors where it is asked to', async () => {
    const out = temporaryDirectory();
    const [single] = await writeMedia(join(out, 'one.png'), images.slice(0, 1), { scale: 3 });
    const files = await writeMedia(join(out, 'folder'), images, { scale: 2 });
    const read = (path: string) => decodeImage(readFileSync(path), path);
    const { width, pixels } = await read(single!);
    expect(width).toBe(24);
    expect(pixels.subarray(0, 3)).toEqual(pixels.subarray(24 * 3 * 2 + 6, 24 * 3 * 2 + 9));
    expect(await read(files[2]!)).toMatchObject({ width: 16, height: 16 });
  });
});

describe('writeGenerated', () => {
  const made = (prompts: string[], n: number): Generated<Image> => ({
    media: prompts.flatMap(() => images.slice(0, n)),
    tokens: [],
    prompts: prompts.flatMap((prompt) => Array<string>(n).fill(prompt)),
    made: { command: 'generate', medium: 'image', samples: n * prompts.length, codec: '0', prompts },
  });
  const sizeOf = async (generated: Generated, options: EncodeGeneratedOptions = {}): Promise<[number, number]> => {
    const { width, height } = await decodeImage(await encodeGenerated(generated, options), 'sheet');
    return [width, height];
  };

  it('gives each prompt a row below it', async () => {
    const [width, height] = await sizeOf(made(['a bird', 'a fish'], 3));
    expect(width).toBe(12 + 3 * (256 + 12));
    expect(height).toBeGreaterThan(2 * (256 + 12));
    const [, bare] = await sizeOf(made(['a bird', 'a fish'], 3), { labels: false, columns: 3 });
    expect(bare).toBe(2 + 2 * (256 + 2));
  });

  it('writes a single sample without its prompt, enlarged unless the scale is 1', async () => {
    expect(await sizeOf(made(['a bird'], 1))).toEqual([512, 512]);
    expect(await sizeOf(made(['a bird'], 1), { scale: 1 })).toEqual([8, 8]);
  });

  it('puts the nearest of a dataset beside each sample', async () => {
    const generated = made(['a bird', 'a fish'], 2);
    const neighbors = generated.media.map((media, i) => ({ key: `k${i}`, caption: '', media, mse: 0 }));
    expect((await sizeOf(generated, { neighbors }))[0]).toBe(12 + 4 * (256 + 12));
    const out = join(temporaryDirectory(), 'all');
    const files = await writeGenerated(out, generated, { neighbors });
    expect(files.slice(0, 2)).toEqual([join(out, '00000.png'), join(out, '00000-nearest.png')]);
  });
});

describe('freeName', () => {
  it.each([
    [['A Red, red bird!'], 'a-red-red-bird.png'],
    [['Größe 木'], 'größe-木.png'],
    [['🍓'], 'generated.png'],
    [[], 'generated.png'],
    [['con'], 'generated-con.png'],
    [['../../etc/passwd'], 'etc-passwd.png'],
    [['x'.repeat(5000)], `${'x'.repeat(60)}.png`],
  ])('of %j is %s', (prompts, name) => expect(freeName(prompts, imageMedium, 1)).toBe(name));

  it('takes the next number where there is a file', () => {
    const before = process.cwd();
    process.chdir(temporaryDirectory());
    try {
      writeFileSync('a-bird.png', '');
      writeFileSync('a-bird-2.png', '');
      expect(freeName(['a bird', 'a fish'], imageMedium, 2)).toBe('a-bird-3.png');
    } finally {
      process.chdir(before);
    }
  });
});
