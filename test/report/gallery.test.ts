import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { gallery, stackGallery } from '../../src/report/gallery.js';
import type { Tile } from '../../src/report/gallery.js';

async function tiles(count: number, width: number, caption?: string): Promise<Tile[]> {
  const png = await sharp({ create: { width, height: width, channels: 3, background: 'red' } })
    .png()
    .toBuffer();
  return Array.from({ length: count }, (_, i) => ({ exhibit: { png }, alt: `tile ${i}`, ...(caption && { caption }) }));
}

const variable = (html: string, name: string): number => Number(new RegExp(`--${name}:([\\d.]+)`).exec(html)![1]);
const shown = (html: string): number => html.split('<figure').length - 1;

describe('gallery', () => {
  it.each([16, 20, 28, 32, 48, 64, 72, 128])(
    'enlarges tiles of %d pixels by whole factors that fit the page',
    async (width) => {
      const html = gallery(await tiles(24, width));
      for (const [screen, room, gap] of [
        ['wide', 928, 12],
        ['narrow', 318, 8],
      ] as const) {
        const [columns, cell, factor] = [screen, `${screen}-cell`, `${screen}-factor`].map((name) =>
          variable(html, name),
        );
        expect(Number.isInteger(factor)).toBe(true);
        expect(factor! * width).toBeLessThanOrEqual(cell!);
        expect(columns! * (cell! + gap) - gap).toBeLessThanOrEqual(room);
      }
    },
  );

  it.each([1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 13, 15, 16, 17, 23, 24])('fills the last row of %d tiles', async (count) => {
    for (const width of [28, 32, 64]) {
      const html = gallery(await tiles(count, width), { trim: true });
      expect(shown(html)).toBeGreaterThanOrEqual(0.7 * count);
      expect(shown(html) % variable(html, 'wide')).toBe(0);
    }
  });

  it('finds a layout for every size of picture, with captions and without', async () => {
    const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    for (let width = 1; width <= 400; width++) {
      new DataView(png.buffer, png.byteOffset).setUint32(16, width);
      const tile = { exhibit: { png }, alt: 'tile' };
      for (const caption of [{}, { caption: 'text' }]) {
        const some = new Array<Tile>(7).fill({ ...tile, ...caption });
        const stacks = some.map((one) => ({ pictures: [one], ...caption }));
        for (const html of [gallery(some), stackGallery(['row'], stacks, { trim: true })])
          for (const [screen, room] of [
            ['wide', 928],
            ['narrow', 318],
          ] as const)
            expect(variable(html, screen) * variable(html, `${screen}-cell`)).toBeLessThanOrEqual(room);
      }
    }
  });

  it('leaves out none unless it may', async () => {
    for (const count of [7, 11, 13]) expect(shown(gallery(await tiles(count, 32)))).toBe(count);
  });

  it('shrinks large pictures, and leaves room for captions', async () => {
    const html = gallery(await tiles(2, 600));
    expect(variable(html, 'wide-factor') * 600).toBeCloseTo(variable(html, 'wide-cell'), 0);
    expect(html).not.toContain('class="crisp"');
    expect(variable(gallery(await tiles(24, 8, 'a caption')), 'wide-cell')).toBeGreaterThanOrEqual(100);
  });

  it('gives each picture a text and a button that enlarges it', async () => {
    const html = gallery(await tiles(2, 8));
    expect(html.match(/ alt="tile [01]"/g)).toHaveLength(2);
    expect(html.match(/<button type="button" class="zoom" aria-label="Enlarge: tile [01]"/g)).toHaveLength(2);
  });
});

describe('stackGallery', () => {
  it('labels the rows above the first stack of each line, for each width of screen', async () => {
    const one = await tiles(16, 28);
    const html = stackGallery(
      ['Original', 'Reconstruction'],
      one.map((tile) => ({ pictures: [tile, tile] })),
    );
    const classes = Array.from(html.matchAll(/<figure class="([^"]*)"/g), (match) => match[1]!.split(' '));
    expect(classes).toHaveLength(16);
    for (const [name, screen] of [
      ['first', 'wide'],
      ['first-narrow', 'narrow'],
    ] as const)
      expect(classes.flatMap((own, i) => (own.includes(name) ? [i] : []))).toEqual(
        classes.flatMap((_, i) => (i % variable(html, screen) === 0 ? [i] : [])),
      );
    expect(html.match(/>Reconstruction</g)).toHaveLength(16);
  });
});
