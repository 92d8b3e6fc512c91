// Trains a codec.
import { saveModel } from '../checkpoint/model.js';
import type { ModelCard } from '../checkpoint/card.js';
import type { NamedTensors } from '../checkpoint/tensors.js';
import { SampleCache, evalBatches, trainBatches } from '../data/batches.js';
import type { BadSample, Batch, BatchInput } from '../data/batches.js';
import { compile, randomKey, tensorsOf, tf } from '../engine/index.js';
import type { TesseraeError } from '../errors.js';
import type { Dataset, Splitting } from '../interfaces/index.js';
import { imageBatch, imageShape } from '../features/images.js';
import { fullMedium } from '../media/node.js';
import { itemShapeOf } from '../media/item-shape.js';
import { Moments } from '../metrics/error.js';
import { listNames } from '../names.js';
import type { CodecBatch, CodecFamily, CodecLosses } from '../model/codec.js';
import { adamW, adamWHyper, adamWSlots, gradients } from '../nn/optimizer.js';
import type { AdamWConfig } from '../nn/optimizer.js';
import { createParams, disposeParams, exportParams, restoreParams } from '../model/params.js';
import type { Params } from '../model/params.js';
import { cosineSchedule } from '../nn/schedule.js';
import { Discriminator } from './discriminator.js';
import { adamWConfig } from './config.js';
import type { CodecTraining } from './config.js';
import { evaluateCodec, figuresOf, loggedFigures } from './evaluate.js';
import type { CodecEvaluation } from './evaluate.js';
import { COLLAPSE_REMEDY, collapseText, sampleConcerns } from './concerns.js';
import { outcomeOf, paceOf, runLoop, scalar } from './loop.js';
import type { LoopOptions, LoopSettings, Measured, Pace, StartingPoint, Trainee } from './loop.js';
import { PerceptualTerm } from '../features/term.js';
import { writeCodecReport } from './report.js';
import type { Alert, Figure } from './watch.js';

export interface CodecRun<C> extends LoopOptions {
  family: CodecFamily<C>;
  config: C;
  training: CodecTraining;
  dataset: Dataset;
  seed: number;
  /** How the dataset was split. Later evaluations use the same split. */
  splitting?: Splitting;
  /** A trained codec whose weights the run starts with, of the same names and shapes. */
  from?: StartingPoint;
  /** The advice that the settings come from, for the model's card. */
  advice?: unknown;
  /** Path of the ONNX network of the perceptual term. Without it, the term is off. */
  features?: string;
  /** Called for each sample that cannot be decoded, which is then left out. Without it, the first one ends the run. */
  onBad?: (error: TesseraeError, sample: BadSample) => void;
}

/** Number of samples that the variance of the data is measured on. */
const VARIANCE_SAMPLES = 1024;

/**
 * Trains a codec, and writes its model directory with the weights to keep.
 *
 * @returns the model's card. `metrics` are the {@link figuresOf} the evaluation over the held-out split, and are absent without
 *   one. `training.kept` says which weights it holds.
 * @throws as {@link runLoop}. @throws {UsageError} E_NOT_IMAGES for losses that need images.
 */
export async function trainCodec<C>(run: CodecRun<C>): Promise<ModelCard> {
  const trainee = new CodecTrainee(run);
  try {
    return await runLoop(trainee, trainee.training, run, async (outcome, record) => {
      const card = saveModel(
        run.out,
        {
          kind: 'codec',
          name: run.family.name,
          config: run.config as Record<string, unknown>,
          maps: run.family.maps(run.config),
          training: {
            ...trainee.identity,
            ...(run.splitting && { split: run.splitting }),
            dataVariance: trainee.dataVariance,
            ...outcomeOf(outcome),
          },
          metrics: trainee.evaluation && figuresOf(trainee.evaluation),
        },
        exportParams(trainee.params),
      );
      await writeCodecReport(run.out, card, outcome, {
        ...trainee.input,
        data: run.dataset.source,
        record,
        evaluation: trainee.evaluation,
      });
      return card;
    });
  } finally {
    trainee.dispose();
  }
}

/** Measures how long the steps of a run take on this machine. Nothing is written. */
export function codecPace<C>(run: CodecRun<C>): Promise<Pace> {
  return paceOf(new CodecTrainee(run));
}

class CodecTrainee<C> implements Trainee {
  readonly identity: Record<string, unknown>;
  readonly training: CodecTraining & LoopSettings;
  readonly figure: Figure;
  readonly heldOut: number;
  readonly concerns: readonly string[];
  readonly remedy: string;
  /** What batches are brought to. */
  readonly input: BatchInput;
  /** Trainable weights and the quantizer's state. */
  readonly params: Params;
  dataVariance = 1;
  /** The latest evaluation. */
  evaluation: CodecEvaluation | undefined;
  private readonly trainable: Params;
  private readonly slots: Params;
  private readonly adam: AdamWConfig;
  private readonly discriminator: Discriminator | undefined;
  private readonly perceptual: PerceptualTerm | undefined;
  private readonly cache = new SampleCache();
  /** Shape [...axes, channels] of a sample. */
  private readonly itemShape: number[];
  private batches: AsyncGenerator<Batch> | undefined;
  private compiled: ReturnType<CodecTrainee<C>['compileStep']> | undefined;

  constructor(private readonly run: CodecRun<C>) {
    const { family, config, training, dataset, seed, features } = run;
    const medium = fullMedium(family.medium);
    this.input = { medium, input: family.input(config) };
    this.itemShape = itemShapeOf(medium, this.input.input);
    this.remedy = `more ${medium.noun.many}, "augment" in the training settings (flip, crop), or fewer weights (hidden, residualHidden)`;
    this.perceptual =
      training.perceptual && features !== undefined ? new PerceptualTerm(features, training.perceptual) : undefined;
    if (this.perceptual) imageShape('training.perceptual', [1, ...this.itemShape]);
    if (training.perceptual && !this.perceptual) run.onNote?.('perceptual term: off, as no feature network is named');
    const network = this.perceptual && { features: this.perceptual.identity };
    this.training = { ...training, keep: training.keep ?? (training.adversarial || this.perceptual ? 'last' : 'best') };
    const measure = family.figure ?? { name: 'nmse', unit: 'NMSE' };
    this.figure = { ...measure, training: measure.name === 'nmse' ? 'nmse' : 'loss' };
    this.heldOut = dataset.size('test');
    this.concerns = sampleConcerns({ train: dataset.size('train'), test: this.heldOut });
    this.identity = {
      codec: family.name,
      config: config,
      training: this.training,
      seed,
      dataset: dataset.fingerprint,
      ...network,
      ...(run.from && { from: run.from.fingerprint }),
      ...(run.advice !== undefined && { advice: run.advice }),
    };
    this.trainable = createParams(family.trainable(config), seed);
    this.params = { ...this.trainable, ...createParams(family.state(config), seed) };
    this.slots = adamWSlots(this.trainable);
    this.adam = adamWConfig(training);
    this.discriminator =
      training.adversarial &&
      new Discriminator(imageShape('training.adversarial', [1, ...this.itemShape])[3], training.adversarial, seed);
  }

  async begin(): Promise<void> {
    this.dataVariance = await this.measureVariance();
    const { family, config, seed, from } = this.run;
    if (from) return restoreParams('--from', this.params, from.tensors);
    const batch = await firstOf(this.openBatches(0));
    const start = compile(
      (values: tf.Tensor, key: tf.Tensor1D): null => {
        family.initialize(this.params, values, key, config);
        return null;
      },
      { name: `${family.name}_initialize` },
    );
    const inputs = [this.tensorOf(batch), randomKey(seed, 0)] as const;
    await start(...inputs);
    await start.dispose();
    tf.dispose([...inputs]);
  }

  async step(step: number): Promise<{ measured: Measured; describe: () => string }> {
    this.batches ??= this.openBatches(step - 1);
    const batch = (await this.batches.next()).value as Batch;
    const { training, seed } = this.run;
    const rate = cosineSchedule(step, training.steps, training);
    const discriminatorHyper = this.discriminator?.hyper(step, training.steps, rate / training.learningRate) ?? null;
    const inputs = [
      this.tensorOf(batch),
      adamWHyper(step, rate, this.adam),
      randomKey(seed, step),
      tf.scalar((step - 1) / training.steps),
      discriminatorHyper,
    ] as const;
    this.compiled ??= this.compileStep();
    const outputs = await this.compiled(...inputs);
    const terms = Object.fromEntries(Object.entries(outputs.terms).map(([name, value]) => [name, scalar(value)]));
    const measured = {
      loss: scalar(outputs.loss),
      nmse: scalar(outputs.nmse),
      ...terms,
      gradientNorm: scalar(outputs.norm),
    };
    tf.dispose(tensorsOf([...inputs, outputs]));
    return { measured, describe: () => listNames(batch.keys) };
  }

  async evaluate(final: boolean): Promise<Record<string, number>> {
    const { family, config, dataset, training, onBad, signal } = this.run;
    const extent = final ? { signal } : { limit: training.evalSamples };
    this.evaluation = await evaluateCodec(family, config, this.params, dataset, 'test', {
      ...extent,
      onBad,
      cache: this.cache,
    });
    return loggedFigures(this.evaluation);
  }

  alerts(): Alert[] {
    return this.evaluation!.maps.flatMap((map): Alert[] => {
      const text = collapseText(map, 'held-out codes');
      return text === undefined ? [] : [{ kind: `collapse ${map.name}`, text: `${text}. Remedy: ${COLLAPSE_REMEDY}.` }];
    });
  }

  weights(): NamedTensors {
    return exportParams(this.params);
  }

  adopt(weights: NamedTensors): void {
    restoreParams('best weights', this.params, weights);
  }

  content(): { model: NamedTensors; optimizer: NamedTensors; state: Record<string, unknown> } {
    return {
      model: exportParams(this.params),
      optimizer: exportParams(this.optimizerState),
      state: { dataVariance: this.dataVariance },
    };
  }

  restore(model: NamedTensors, optimizer: NamedTensors, state: Record<string, unknown>): void {
    restoreParams('checkpoint model', this.params, model);
    restoreParams('checkpoint optimizer', this.optimizerState, optimizer);
    this.dataVariance = state.dataVariance as number;
  }

  dispose(): void {
    void this.batches?.return(undefined);
    void this.compiled?.dispose();
    disposeParams(this.params);
    disposeParams(this.slots);
    this.discriminator?.dispose();
  }

  private get optimizerState(): Params {
    return { ...this.slots, ...this.discriminator?.saved };
  }

  private compileStep() {
    return compile(
      (
        inputs: tf.Tensor,
        hyper: tf.Tensor1D,
        key: tf.Tensor1D,
        progress: tf.Scalar,
        discriminatorHyper: tf.Tensor1D | null,
      ) => {
        const batch = { inputs, key, progress, dataVariance: this.dataVariance };
        const { result, grads } = gradients(this.trainable, () => this.objective(batch, discriminatorHyper !== null));
        const norm = adamW(this.trainable, this.slots, grads, hyper, this.adam);
        const terms = {
          ...result.terms,
          ...(discriminatorHyper &&
            this.discriminator?.update(
              imageBatch('training.adversarial', inputs),
              imageBatch('training.adversarial', result.reconstruction),
              discriminatorHyper,
            )),
        };
        return { loss: result.loss, nmse: result.nmse, terms, norm };
      },
      { name: `${this.run.family.name}_train` },
    );
  }

  /** The codec's own loss and the terms that are added to it. */
  private objective(batch: CodecBatch, isAdversarial: boolean): CodecLosses {
    const { family, config } = this.run;
    const losses = this.withPerceptual(family.loss(this.params, batch, config), batch.inputs);
    if (!isAdversarial || !this.discriminator) return losses;
    const { loss, reconstruction } = losses;
    const last = family.lastLayer?.(config);
    const { term, terms } = this.discriminator.objective(
      loss,
      imageBatch('training.adversarial', reconstruction),
      last === undefined ? reconstruction : this.trainable[last]!,
    );
    return { ...losses, loss: tf.add(loss, term), terms: { ...losses.terms, ...terms } };
  }

  private withPerceptual(losses: CodecLosses, inputs: tf.Tensor): CodecLosses {
    if (!this.perceptual) return losses;
    const { term, terms } = this.perceptual.objective(
      imageBatch('training.perceptual', inputs),
      imageBatch('training.perceptual', losses.reconstruction),
    );
    return { ...losses, loss: tf.add(losses.loss, term), terms: { ...losses.terms, ...terms } };
  }

  private tensorOf({ values }: Batch): tf.Tensor {
    return tf.tensor(values, [this.run.training.batchSize, ...this.itemShape]);
  }

  private openBatches(startStep: number): AsyncGenerator<Batch> {
    const { dataset, training, seed, onBad } = this.run;
    return trainBatches(dataset, {
      ...this.input,
      cache: this.cache,
      batchSize: training.batchSize,
      seed,
      startStep,
      augment: training.augment,
      onBad,
    });
  }

  /** Population variance of the values of the first training samples. */
  private async measureVariance(): Promise<number> {
    const moments = new Moments();
    const { dataset, onBad } = this.run;
    for await (const { values } of evalBatches(dataset, 'train', {
      ...this.input,
      cache: this.cache,
      batchSize: 64,
      limit: VARIANCE_SAMPLES,
      onBad,
    }))
      moments.add(values);
    return Math.max(moments.variance, 1e-6);
  }
}

async function firstOf<T>(items: AsyncGenerator<T>): Promise<T> {
  const { value } = await items.next();
  await items.return(undefined);
  return value as T;
}
