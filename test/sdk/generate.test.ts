import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeImage, writeMedia } from '../../src/index.js';
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
