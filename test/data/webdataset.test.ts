import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { openDataset } from '../../src/data/open.js';
import { scanTar } from '../../src/data/tar.js';
import { InputError } from '../../src/errors.js';
import { bytesOf, codeOf, describeAll, folderOf, png, tarOf, type TarFile } from './fixtures.js';

async function openTar(files: readonly TarFile[]): ReturnType<typeof openDataset> {
  return openDataset(join(folderOf({ 'x.tar': await tarOf(files) }), 'x.tar'), { holdout: 1e-9 });
}

describe('openDataset on a WebDataset archive', () => {
  it('pairs images with captions, labels and json of the same key', async () => {
    const body = await png();
    const dataset = await openTar([
      { name: './a.png', body },
      { name: 'a.txt', body: 'first\nsecond\n' },
      { name: 'b.cls', body: '2\n' },
      { name: 'dir/c.JPG', body },
      { name: 'dir/c.json', body: '{"caption":"sea","label":0}' },
      { name: 'b.webp', body },
      { name: 'readme.md', body: 'x' },
      { name: '._a.png', body },
      { name: 'lonely.txt', body: 'no picture' },
    ]);
    const all = [...describeAll(dataset, 'train'), ...describeAll(dataset, 'test')].sort((x, y) =>
      x.key < y.key ? -1 : 1,
    );
    expect(all).toEqual([
      { key: 'a', captions: ['first', 'second'] },
      { key: 'b', captions: ['a photo of a 2'], label: 1 },
      { key: 'dir/c', captions: ['sea'], label: 0 },
    ]);
    expect(dataset.classes).toEqual(['0', '2']);
    await dataset.close();
  });

  it('reads exactly the bytes of each member', async () => {
    const bodies = await Promise.all(Array.from({ length: 20 }, (_, i) => png(i, 3 + i, 4)));
    const dataset = await openTar(bodies.map((body, i) => ({ name: `k${i}.png`, body })));
    for (const split of ['train', 'test'] as const) {
      for (let i = 0; i < dataset.size(split); i++) {
        const raw = await dataset.read(split, i);
        expect(Buffer.compare(bytesOf(raw), bodies[Number(raw.key.slice(1))]!)).toBe(0);
        expect(raw.source).toMatch(/x\.tar:k\d+\.png$/);
      }
    }
    await dataset.close();
  });

  it('reads long names and bodies larger than its window', async () => {
    const name = `${'deep/'.repeat(40)}${'n'.repeat(120)}ü.png`;
    const big = new Uint8Array(700_000).fill(7);
    const dataset = await openTar([
      { name: 'big.png', body: big },
      { name, body: await png() },
      { name: name.replace('.png', '.txt'), body: 'found' },
    ]);
    expect(describeAll(dataset, 'train').concat(describeAll(dataset, 'test'))).toContainEqual({
      key: name.slice(0, -4),
      captions: ['found'],
    });
    await dataset.close();
  });

  it('reads names the way GNU tar stores long ones', async () => {
    const long = `${'g'.repeat(150)}.png`;
    const tar = await tarOf([
      { name: '././@LongLink', body: `${long}\0` },
      { name: 'cut.png', body: await png() },
    ]);
    tar[156] = 'L'.charCodeAt(0);
    signHeader(tar, 0);
    const names: string[] = [];
    const path = join(folderOf({ 'x.tar': tar }), 'x.tar');
    await scanTar(path, async ({ name }) => void names.push(Buffer.from(name).toString()));
    expect(names).toEqual([long]);
  });

  it('keeps the split of top folders and of archive names', async () => {
    const body = await png();
    const inside = await openTar([
      { name: 'train/a.png', body },
      { name: 'test/a.png', body },
      { name: 'stray.png', body },
    ]);
    expect(describeAll(inside, 'train').map(({ key }) => key)).toEqual(['train/a']);
    expect(describeAll(inside, 'test').map(({ key }) => key)).toEqual(['test/a']);
    const folder = folderOf({
      'train-0.tar': await tarOf([{ name: 'a.png', body }]),
      'train-1.tar': await tarOf([{ name: 'a.png', body }]),
      'val-0.tar': await tarOf([{ name: 'a.png', body }]),
    });
    const named = await openDataset(folder);
    expect(describeAll(named, 'train').map(({ key }) => key)).toEqual(['train-0/a', 'train-1/a']);
    expect(describeAll(named, 'test').map(({ key }) => key)).toEqual(['val-0/a']);
  });

  it('leaves out side images, keeps dotted names', async () => {
    const body = await png();
    const dataset = await openTar([
      { name: 'a.png', body },
      { name: 'a.mask.png', body },
      { name: 'v1.2.png', body },
      { name: 'v1.2.txt', body: 'dotted' },
    ]);
    expect([...describeAll(dataset, 'train'), ...describeAll(dataset, 'test')].map(({ key }) => key).sort()).toEqual([
      'a',
      'v1.2',
    ]);
  });

  it('refuses two members for one role of a key', async () => {
    const body = await png();
    for (const second of ['a.png', 'a.jpg']) {
      expect(
        await codeOf(
          openTar([
            { name: 'a.png', body },
            { name: second, body },
          ]),
        ),
      ).toBe('E_DATA_DUPLICATE');
    }
    expect(
      await codeOf(
        openTar([
          { name: 'a.png', body },
          { name: 'a.txt', body: 'x' },
          { name: 'a.txt', body: 'y' },
        ]),
      ),
    ).toBe('E_DATA_DUPLICATE');
  });

  it('refuses what makes no sense, in one line', async () => {
    const body = await png();
    expect(await codeOf(openTar([{ name: 'a.txt', body: 'x' }]))).toBe('E_DATA_EMPTY');
    expect(
      await codeOf(
        openTar([
          { name: 'a.png', body },
          { name: 'a.json', body: '{' },
        ]),
      ),
    ).toBe('E_DATA_METADATA');
    expect(
      await codeOf(
        openTar([
          { name: 'a.png', body },
          { name: 'a.txt', body: Uint8Array.of(0xff, 0xfe) },
        ]),
      ),
    ).toBe('E_DATA_TEXT');
    expect(
      await codeOf(
        openTar([
          { name: 'a.png', body },
          { name: 'a.txt', body: 'x'.repeat(2 << 20) },
        ]),
      ),
    ).toBe('E_DATA_TEXT');
    const mixed: TarFile[] = [
      { name: 'a.png', body },
      { name: 'a.cls', body: 'cat' },
    ];
    const path = join(folderOf({ 'x.tar': await tarOf(mixed) }), 'x.tar');
    expect(await codeOf(openDataset(path, { classes: ['dog', 'cow'] }))).toBe('E_DATA_LABEL');
    expect((await openDataset(path, { classes: ['dog', 'cat'] })).describe('train', 0).label).toBe(1);
  });

  it('rejects every truncation', async () => {
    const tar = await tarOf([
      { name: 'a.png', body: await png() },
      { name: 'a.txt', body: 'x' },
    ]);
    // Up to the end of the first block of zeros, the marker, nothing may pass; pad is 512 more.
    const path = join(folderOf({ 'x.tar': tar }), 'x.tar');
    const marker = tar.length - 512;
    for (let length = marker - 1; length >= 0; length -= 61) {
      truncateSync(path, length);
      const error = await scanTar(path, async () => undefined).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(InputError);
      expect((error as InputError).code).toBe('E_TAR_TRUNCATED');
    }
  });

  it('never hands out a member that is cut', async () => {
    const tar = await tarOf([{ name: 'a.png', body: new Uint8Array(3000) }]);
    const path = join(folderOf({ 'x.tar': tar.subarray(0, 2000) }), 'x.tar');
    const seen: string[] = [];
    expect(await codeOf(scanTar(path, async ({ name }) => void seen.push(Buffer.from(name).toString())))).toBe(
      'E_TAR_TRUNCATED',
    );
    expect(seen).toEqual([]);
  });

  it('detects a flipped bit anywhere in a header', async () => {
    const tar = await tarOf([{ name: 'a.png', body: 'x' }]);
    const path = join(folderOf({ 'x.tar': tar }), 'x.tar');
    const kept: number[] = [];
    for (let at = 0; at < 512; at++) {
      const flipped = Buffer.from(tar);
      flipped[at]! ^= 1;
      writeFileSync(path, flipped);
      const error = await scanTar(path, async () => undefined).catch((reason: unknown) => reason);
      if (!(error instanceof InputError)) kept.push(at);
    }
    // The checksum field's own terminator carries nothing.
    expect(kept.filter((at) => at < 154 || at > 155)).toEqual([]);
  });

  it('refuses malformed pax records and oversized extensions', async () => {
    const pax = await tarOf([{ name: 'a.png', body: 'x', pax: { comment: 'hello' } } as TarFile]);
    expect(pax.includes('comment=hello')).toBe(true);
    const at = pax.indexOf('comment=hello');
    for (const digits of ['99', '00', 'xx']) {
      const broken = Buffer.from(pax);
      broken.write(digits, at - 3, 'latin1');
      const path = join(folderOf({ 'x.tar': broken }), 'x.tar');
      expect(await codeOf(scanTar(path, async () => undefined))).toBe('E_TAR_CORRUPT');
    }
    const huge = await tarOf([{ name: 'a.png', body: new Uint8Array(2 << 20) }]);
    huge[156] = 'x'.charCodeAt(0);
    signHeader(huge, 0);
    expect(await codeOf(scanTar(join(folderOf({ 'x.tar': huge }), 'x.tar'), async () => undefined))).toBe(
      'E_TAR_CORRUPT',
    );
  });
});

/** Writes the checksum of the header at `at`. */
function signHeader(tar: Buffer, at: number): void {
  tar.fill(0x20, at + 148, at + 156);
  const sum = tar.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
  tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
}
