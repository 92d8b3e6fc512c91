// The demo: draws data, trains a codec, tokenizes, trains a prior, generates images and checks them.
import { join } from 'node:path';
import { checkScene } from '../../fixtures/shape-checker.js';
import { captionOf, shapeSet, writeShapeFolder } from '../../fixtures/shapes.js';
import type { Scene } from '../../fixtures/shapes.js';
import { createDirectory, writeFileAtomic } from '../files/commit.js';
import type { Image } from '../interfaces/index.js';
import { imageGrid } from '../media/image/grid.js';
import { imageMedium } from '../media/image/medium.js';
import { encodePng } from '../media/image/image.js';
import { openOutput } from '../output.js';
import { htmlReport, imageFigure, table } from '../report/html.js';
import { sealJson } from '../sealed.js';
import type { LoopEvents } from '../train/loop.js';
import { generate } from './generate.js';
import { tokenize } from './tokenize.js';
import { trainCodec, trainPrior } from './train.js';

/** The demo's stages, in order. */
export const DEMO_STAGES = ['draw', 'train codec', 'tokenize', 'train prior', 'generate'] as const;
export type DemoStage = (typeof DEMO_STAGES)[number];

export interface DemoOptions {
  out: string;
  force?: boolean;
  seed?: number;
  /** Number of images in the dataset. Default 8000. */
  count?: number;
  /** Presets of the codec and the prior. Default `shapes`. */
  codecPreset?: string;
  priorPreset?: string;
  /** Steps to train, instead of those of the presets. */
  codecSteps?: number;
  priorSteps?: number;
  /** Number of held-out prompts to generate. Default: all. */
  prompts?: number;
  signal?: AbortSignal;
  onStage?: (stage: DemoStage) => void;
  onProgress?: (stage: DemoStage, done: number, total: number, values?: Record<string, number>) => void;
}

export interface DemoResult {
  codec: Record<string, unknown>;
  prior: Record<string, unknown>;
  /** Number of held-out prompts, and how many images follow theirs in colors, shapes, sizes and positions. */
  prompts: number;
  obeyed: number;
  seconds: Record<DemoStage, number>;
  picture: string;
  report: string;
}

interface Drawn {
  prompt: string;
  image: Image;
  obeyed: boolean;
  reasons: string[];
}

const PICTURES = 8000;

/** Some guidance and a low temperature: attributes follow the prompt, positions vary. */
const SAMPLING = { temperature: 0.5, topP: 0.9, cfg: 1.5, batchSize: 52 };

/**
 * Trains on images of colored shapes, and generates combinations that none of them shows.
 *
 * @throws as the jobs it consists of.
 */
export async function demo(options: DemoOptions): Promise<DemoResult> {
  const { out, seed = 0, signal } = options;
  openOutput(out, {
    force: options.force,
    owned: ['data', 'codec', 'tokens', 'prior', 'demo.png', 'demo.json', 'report.html'],
  }).release();
  const clock = new Stopwatch(options.onStage);
  const at = (name: string): string => join(out, name);
  const force = options.force;
  const events = (stage: DemoStage): LoopEvents => ({
    onStep: (step, steps, measured) => options.onProgress?.(stage, step, steps, measured),
  });

  clock.start('draw');
  createDirectory(at('data'));
  await writeShapeFolder(at('data'), {
    count: options.count ?? PICTURES,
    seed,
    signal,
    onProgress: (done: number) => options.onProgress?.('draw', done, options.count ?? PICTURES),
  });
  clock.start('train codec');
  const codec = await trainCodec({
    data: at('data'),
    out: at('codec'),
    preset: options.codecPreset ?? 'shapes',
    steps: options.codecSteps,
    seed,
    force,
    signal,
    ...events('train codec'),
  });
  clock.start('tokenize');
  await tokenize({
    data: at('data'),
    codec: at('codec'),
    out: at('tokens'),
    force,
    signal,
    onProgress: (done, total) => options.onProgress?.('tokenize', done, total),
  });
  clock.start('train prior');
  const prior = await trainPrior({
    tokens: at('tokens'),
    out: at('prior'),
    preset: options.priorPreset ?? 'shapes',
    steps: options.priorSteps,
    seed,
    force,
    signal,
    ...events('train prior'),
  });
  clock.start('generate');
  const scenes = shapeSet({ count: 1, seed }).heldOutPrompts.slice(0, options.prompts);
  const drawn = await drawAndCheck(at('prior'), scenes, options);
  const seconds = clock.stop();

  const obeyed = drawn.filter((one) => one.obeyed).length;
  const result: DemoResult = {
    codec: codec.metrics!,
    prior: prior.metrics!,
    prompts: drawn.length,
    obeyed,
    seconds,
    picture: at('demo.png'),
    report: at('report.html'),
  };
  await writeResult(result, drawn);
  writeFileAtomic(at('demo.json'), sealJson(result));
  return result;
}

async function drawAndCheck(
  prior: string,
  scenes: readonly Scene[],
  { seed = 0, signal, onProgress }: DemoOptions,
): Promise<Drawn[]> {
  const prompts = scenes.map(captionOf);
  const sampling = {
    ...SAMPLING,
    seed,
    signal,
    onProgress: (fraction: number) => onProgress?.('generate', Math.round(fraction * prompts.length), prompts.length),
  };
  const { media } = await generate({ prior, prompts, sampling, medium: imageMedium });
  return media.map((image, i) => ({ prompt: prompts[i]!, image, ...checkScene(image, scenes[i]!) }));
}

/** Writes the image and the report: the first prompts with their images, and every failure with its reason. */
async function writeResult(result: DemoResult, drawn: readonly Drawn[]): Promise<void> {
  const grid = async (some: readonly Drawn[]): Promise<Uint8Array> =>
    encodePng(
      imageGrid(
        some.map(({ image }) => image),
        { columns: 6, scale: 5, labels: some.map(({ prompt, obeyed }) => `${obeyed ? '' : '(!) '}${prompt}`) },
      ),
    );
  const picture = await grid(drawn.slice(0, 24));
  writeFileAtomic(result.picture, picture);
  const failed = drawn.filter(({ obeyed }) => !obeyed);
  const share = result.obeyed / result.prompts;
  const html = htmlReport({
    title: 'Tesserae demo',
    subtitle: 'Images for combinations of shapes that were held out of training',
    summary: [
      ['held-out prompts', result.prompts],
      ['obeyed', `${result.obeyed} (${(100 * share).toFixed(1)} %)`],
      ['codec NMSE', result.codec.nmse as number],
      ['prior, nats per code', result.prior.natsPerCode as number],
      ...Object.entries(result.seconds).map(([stage, seconds]): [string, string] => [stage, `${seconds.toFixed(1)} s`]),
    ],
    sections: [
      { title: 'Generated', body: [imageFigure(picture)] },
      ...(failed.length > 0
        ? [
            {
              title: 'Not obeyed',
              body: [
                imageFigure(await grid(failed.slice(0, 24))),
                table(
                  ['prompt', 'why'],
                  failed.map(({ prompt, reasons }) => [prompt, reasons.join('; ')]),
                ),
              ],
            },
          ]
        : []),
    ],
  });
  writeFileAtomic(result.report, html);
}

/** Seconds of each stage. */
class Stopwatch {
  private readonly seconds: Partial<Record<DemoStage, number>> = {};
  private current: { stage: DemoStage; since: number } | undefined;

  constructor(private readonly onStage: DemoOptions['onStage']) {}

  start(stage: DemoStage): void {
    this.stop();
    this.current = { stage, since: performance.now() };
    this.onStage?.(stage);
  }

  stop(): Record<DemoStage, number> {
    if (this.current) this.seconds[this.current.stage] = (performance.now() - this.current.since) / 1000;
    return this.seconds as Record<DemoStage, number>;
  }
}
