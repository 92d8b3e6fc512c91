// The demo: draws data, trains a codec, tokenizes, trains a prior, generates images and checks them.
import { join } from 'node:path';
import { checkScene } from '../../fixtures/shape-checker.js';
import { captionOf, shapeSet, writeShapeFolder } from '../../fixtures/shapes.js';
import { createDirectory, writeFileAtomic } from '../files/commit.js';
import { imageGrid } from '../media/image/grid.js';
import { imageMedium } from '../media/image/medium.js';
import { encodePng } from '../media/image/image.js';
import { openOutput } from '../output.js';
import { sealJson } from '../sealed.js';
import type { LoopEvents } from '../train/loop.js';
import { demoReport } from './demo-report.js';
import type { DemoStage, Drawn } from './demo-report.js';
import { generate } from './generate.js';
import { tokenize } from './tokenize.js';
import { trainCodec, trainPrior } from './train.js';

export type { DemoStage };

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

const PICTURES = 8000;

/** Some guidance and a low temperature: attributes follow the prompt, positions vary. */
const SAMPLING = { temperature: 0.5, topP: 0.9, cfg: 1.5, batchSize: 52 };

/**
 * Trains on images of colored shapes, and generates combinations that none of them shows.
 *
 * @throws as the jobs it consists of.
 */
export async function demo(options: DemoOptions): Promise<DemoResult> {
  const { out, force } = options;
  openOutput(out, {
    force,
    owned: ['data', 'codec', 'tokens', 'prior', 'demo.png', 'demo.json', 'report.html'],
  }).release();
  const clock = new Stopwatch(options.onStage);
  const at = (name: string): string => join(out, name);
  const run = <T>(stage: DemoStage, job: (options: DemoOptions, at: At) => T): T => {
    clock.start(stage);
    return job(options, at);
  };

  await run('draw', drawData);
  const codec = await run('train codec', trainTheCodec);
  await run('tokenize', tokenizeData);
  const prior = await run('train prior', trainThePrior);
  const drawn = await run('generate', generateAndCheck);
  const seconds = clock.stop();

  const result: DemoResult = {
    codec: codec.metrics!,
    prior: prior.metrics!,
    prompts: drawn.length,
    obeyed: drawn.filter((one) => one.obeyed).length,
    seconds,
    picture: at('demo.png'),
    report: at('report.html'),
  };
  await writeResult(result, drawn, options);
  writeFileAtomic(at('demo.json'), sealJson(result));
  return result;
}

/** The path of an output by its name. */
type At = (name: string) => string;

async function drawData({ count = PICTURES, seed = 0, signal, onProgress }: DemoOptions, at: At): Promise<void> {
  createDirectory(at('data'));
  await writeShapeFolder(at('data'), {
    count,
    seed,
    signal,
    onProgress: (done: number) => onProgress?.('draw', done, count),
  });
}

function trainTheCodec(options: DemoOptions, at: At): ReturnType<typeof trainCodec> {
  const { codecPreset: preset = 'shapes', codecSteps: steps, seed = 0, force, signal } = options;
  const events = stepEvents('train codec', options);
  return trainCodec({ data: at('data'), out: at('codec'), preset, steps, seed, force, signal, ...events });
}

function tokenizeData({ force, signal, onProgress }: DemoOptions, at: At): ReturnType<typeof tokenize> {
  return tokenize({
    data: at('data'),
    codec: at('codec'),
    out: at('tokens'),
    force,
    signal,
    onProgress: (done, total) => onProgress?.('tokenize', done, total),
  });
}

function trainThePrior(options: DemoOptions, at: At): ReturnType<typeof trainPrior> {
  const { priorPreset: preset = 'shapes', priorSteps: steps, seed = 0, force, signal } = options;
  const events = stepEvents('train prior', options);
  return trainPrior({ tokens: at('tokens'), out: at('prior'), preset, steps, seed, force, signal, ...events });
}

const stepEvents = (stage: DemoStage, { onProgress }: DemoOptions): LoopEvents => ({
  onStep: (step, steps, measured) => onProgress?.(stage, step, steps, measured),
});

async function generateAndCheck(
  { prompts: count, seed = 0, signal, onProgress }: DemoOptions,
  at: At,
): Promise<Drawn[]> {
  const scenes = shapeSet({ count: 1, seed }).heldOutPrompts.slice(0, count);
  const prompts = scenes.map(captionOf);
  const { media } = await generate({
    prior: at('prior'),
    prompts,
    sampling: { ...SAMPLING, seed },
    medium: imageMedium,
    signal,
    onProgress: (fraction) => onProgress?.('generate', Math.round(fraction * prompts.length), prompts.length),
  });
  return media.map((image, i) => ({ prompt: prompts[i]!, image, ...checkScene(image, scenes[i]!) }));
}

/** Number of images in the joined picture. */
const SHOWN = 24;

/** Writes the image of the first prompts, and the report. */
async function writeResult(result: DemoResult, drawn: readonly Drawn[], options: DemoOptions): Promise<void> {
  const first = drawn.slice(0, SHOWN);
  const picture = await encodePng(
    imageGrid(
      first.map(({ image }) => image),
      { columns: 6, scale: 5, labels: first.map(({ prompt, obeyed }) => `${obeyed ? '' : '(!) '}${prompt}`) },
    ),
  );
  writeFileAtomic(result.picture, picture);
  const { out, count = PICTURES, seed = 0 } = options;
  writeFileAtomic(result.report, await demoReport({ ...result, out, count, seed, drawn, date: new Date() }));
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
