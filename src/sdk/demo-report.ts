// The page of the demo: generated images with the verdict of the checker, training images, and where the time went.
import { join } from 'node:path';
import { shapeSamples } from '../../fixtures/shapes.js';
import type { Image } from '../interfaces/index.js';
import { imageMedium } from '../media/image/medium.js';
import { capitalized, formatCount, formatTime } from '../report/format.js';
import { gallery, pictureOf } from '../report/gallery.js';
import type { Tile } from '../report/gallery.js';
import { headingOf } from '../report/heading.js';
import { htmlReport, proportions } from '../report/html.js';
import type { Fragment } from '../report/html.js';
import { measureOf } from '../report/measures.js';
import { linkTo } from '../train/related.js';

/** The demo's stages, in order. */
export const DEMO_STAGES = ['draw', 'train codec', 'tokenize', 'train prior', 'generate'] as const;
export type DemoStage = (typeof DEMO_STAGES)[number];

/** An image for a prompt, with what the checker says of it. */
export interface Drawn {
  prompt: string;
  image: Image;
  obeyed: boolean;
  reasons: string[];
}

export interface DemoShown {
  /** The demo's directory, whose reports of codec and prior are linked. */
  out: string;
  count: number;
  seed: number;
  drawn: readonly Drawn[];
  obeyed: number;
  /** Metrics of the models. */
  codec: Record<string, unknown>;
  prior: Record<string, unknown>;
  seconds: Record<DemoStage, number>;
  date: Date;
}

/** Maximum number of images of each kind. */
const SHOWN = 24;

/** Returns the text of one HTML file. */
export async function demoReport(shown: DemoShown): Promise<string> {
  const { out, count, seed, drawn, obeyed, codec, prior, seconds, date } = shown;
  const failed = drawn.filter(({ obeyed }) => !obeyed);
  const total = Object.values(seconds).reduce((sum, one) => sum + one, 0);
  return htmlReport({
    ...headingOf({
      kind: 'Demo',
      name: 'Images of what was never seen',
      data: `${formatCount(count)} drawn images of colored shapes`,
      date: date.toISOString(),
      seconds: total,
    }),
    links: [...linkTo(out, join(out, 'codec'), 'codec', ''), ...linkTo(out, join(out, 'prior'), 'prior', '')],
    summary: [
      ['Prompts obeyed', `${((100 * obeyed) / drawn.length).toFixed(1)} %`, `${obeyed} of ${drawn.length}`],
      [{ ...measureOf('nmse'), label: 'Codec: NMSE' }, codec.nmse as number],
      [{ ...measureOf('natsPerCode'), label: 'Prior: nats per code' }, prior.natsPerCode as number],
    ],
    sections: [
      {
        title: 'Generated',
        intro: `Each prompt names a pair of shapes that no training image shows together. A program checks colors, shapes, sizes and positions.`,
        body: [await tilesOf(drawn.slice(0, SHOWN))],
      },
      ...(failed.length > 0
        ? [
            {
              title: 'Not obeyed',
              intro: `${failed.length} of ${drawn.length} images do not show what their prompt asks for.`,
              body: [await tilesOf(failed.slice(0, SHOWN), true)],
            },
          ]
        : []),
      {
        title: 'What it learned from',
        intro: `The first of the training images, as they were drawn, with their captions.`,
        body: [await trainingTiles(count, seed)],
      },
      {
        title: 'Where the time went',
        body: [
          proportions(
            DEMO_STAGES.map((stage) => ({
              text: `${capitalized(stage)}: ${formatTime(seconds[stage])}`,
              value: seconds[stage],
            })),
          ),
        ],
      },
    ],
  });
}

async function tilesOf(some: readonly Drawn[], explained = false): Promise<Fragment> {
  const tiles = some.map(async ({ prompt, image, obeyed, reasons }): Promise<Tile> => ({
    ...(await pictureOf(imageMedium, image, `Generated: ${prompt}`)),
    caption: prompt,
    verdict: { good: obeyed, text: obeyed ? 'obeyed' : explained ? reasons.join('; ') : 'not obeyed' },
  }));
  return gallery(await Promise.all(tiles));
}

async function trainingTiles(count: number, seed: number): Promise<Fragment> {
  const tiles: Tile[] = [];
  for (const { image, caption } of shapeSamples({ count, seed })) {
    tiles.push({ ...(await pictureOf(imageMedium, image, `Training image: ${caption}`)), caption });
    if (tiles.length === SHOWN / 2) break;
  }
  return gallery(tiles);
}
