// Images where the package sharp cannot be loaded.
import { expect, it, vi } from 'vitest';
import { decodeImage, encodePng } from '../../../src/media/image/image.js';
import { noise } from './fixtures.js';

vi.mock('../../../src/media/image/libvips.js', () => {
  throw new Error('Could not load the "sharp" module using the linux-x64 runtime\nPossible solutions: ...');
});

/** A PNG of 1 x 1 gray pixel of value 7. */
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgBwAACQAIICPDjAAAAABJRU5ErkJggg==',
  'base64',
);

it('says in one line that sharp is missing', async () => {
  await expect(encodePng(noise(2, 2))).rejects.toThrow(/^E_SHARP images: expected the package sharp, .*npm install/);
});

it('decodes plain PNGs all the same', async () => {
  expect([...(await decodeImage(PNG, 'one.png', { channels: 1 })).pixels]).toEqual([7]);
});
