// Trains a prior on token shards.
import { saveModel } from '../checkpoint/model.js';
import type { Extras, ModelCard } from '../checkpoint/card.js';
import type { NamedTensors } from '../checkpoint/tensors.js';
import { compile, randomKey, tf } from '../engine/index.js';
import { flatCodes } from '../interfaces/index.js';
import type { SamplingDefaults, TokenSample } from '../interfaces/index.js';
import type { Condition, PriorFamily, TextEncoder } from '../model/prior.js';
import { Stages } from '../prior/stages.js';
import { adamW, adamWHyper, adamWSlots, averageWeights, gradients } from '../nn/optimizer.js';
import type { AdamWConfig } from '../nn/optimizer.js';
import { createParams, disposeParams, exportParams, restoreParams } from '../model/params.js';
import type { Params } from '../model/params.js';
import { cosineSchedule } from '../nn/schedule.js';
import { listNames } from '../names.js';
import { Rng } from '../rng.js';
import type { ShardReader } from '../shards/reader.js';
import { ConditionSource } from './conditions.js';
import type { TooLong } from './conditions.js';
import { adamWConfig } from './config.js';
import type { PriorTraining } from './config.js';
import { evaluatePrior } from './evaluate-prior.js';
import { sampleConcerns } from './concerns.js';
import { outcomeOf, paceOf, runLoop, scalar } from './loop.js';
import type { LoopOptions, Measured, Pace, StartingPoint, Trainee } from './loop.js';
import { writePriorReport } from './report.js';
import type { DrawnSamples } from './report.js';
import type { Alert, Figure } from './watch.js';

export interface PriorRun<C> extends LoopOptions {
  family: PriorFamily<C>;
  config: C;
  training: PriorTraining;
  tokens: ShardReader;
  seed: number;
  /** A trained prior whose weights the run starts with, of the same names and shapes. */
  from?: StartingPoint;
  /** The advice that the settings come from, for the model's card. */
  advice?: unknown;
  /** The text tokenizer and the text of its `tokenizer.json`, for text conditioning. */
  text?: TextEncoder & { json: string };
  /** The words of the training captions, which are kept to recognize unknown words of prompts. */
  words?: readonly string[];
  /** How the prior samples best, for its card. */
  sampling?: SamplingDefaults;
  /** What to do with captions longer than the prior's text. Default: `cut`. */
  tooLong?: TooLong;
  /** Concerns about the tokens; see {@link Trainee.concerns}. */
  concerns?: readonly string[];
  /** Draws samples with the finished prior for its report. */
  sample?: (card: ModelCard, tensors: NamedTensors) => Promise<DrawnSamples>;
}

/**
 * Trains a prior, and writes its model directory with the weights to keep.
 *
 * @returns the model's card. `metrics` are those of {@link evaluatePrior} over the held-out split, and are absent without one.
 *   `training.kept` says which weights it holds.
 * @throws as {@link runLoop}.
 */
export async function trainPrior<C>(run: PriorRun<C>): Promise<ModelCard> {
  const trainee = new PriorTrainee(run);
  try {
    return await runLoop(trainee, run.training, run, async (outcome, record) => {
      const { family, config, tokens, text, words, sampling } = run;
      const { conditioning, classes } = family.condition(config);
      const tensors = trainee.weights();
      const extras: Extras = {
        ...(text && { 'tokenizer.json': text.json }),
        ...(words && { 'words.json': `${JSON.stringify(words)}\n` }),
      };
      const card = saveModel(
        run.out,
        {
          kind: 'prior',
          name: family.name,
          config: config as Record<string, unknown>,
          codec: tokens.codec,
          conditioning,
          maps: family.maps(config),
          classes: classes && [...classes],
          sampling,
          training: { ...trainee.identity, ...outcomeOf(outcome) },
          metrics: outcome.metrics,
        },
        tensors,
        extras,
      );
      await writePriorReport(run.out, card, outcome, {
        samples: await run.sample?.(card, tensors),
        data: tokens.manifest.source,
        record,
        places: [tokens.directory],
      });
      return card;
    });
  } finally {
    trainee.dispose();
  }
}

/** Measures how long the steps of a run take on this machine. Nothing is written. */
export function priorPace<C>(run: PriorRun<C>): Promise<Pace> {
  return paceOf(new PriorTrainee(run));
}

class PriorTrainee<C> implements Trainee {
  readonly identity: Record<string, unknown>;
  readonly figure: Figure = { name: 'natsPerCode', unit: 'nats per code', training: 'natsPerCode' };
  readonly heldOut: number;
  readonly concerns: readonly string[];
  readonly remedy =
    'more samples, "tokenize --variants 8 --flip --crop 2", "dropout" in the prior\'s config, or fewer weights (nLayer, nEmbd)';
  private readonly stages: Stages;
  private readonly condition: Condition;
  private readonly params: Params;
  private readonly average: Params | undefined;
  private readonly slots: Params;
  private readonly adam: AdamWConfig;
  private readonly conditions: ConditionSource;
  private order: { epoch: number; indices: Uint32Array } | undefined;
  private compiled: ReturnType<PriorTrainee<C>['compileStep']> | undefined;

  constructor(private readonly run: PriorRun<C>) {
    const { family, config, training, tokens, seed } = run;
    this.identity = {
      prior: family.name,
      config: config,
      training,
      seed,
      tokens: tokens.fingerprint,
      codec: tokens.codec.fingerprint,
      ...(run.from && { from: run.from.fingerprint }),
      ...(run.advice !== undefined && { advice: run.advice }),
    };
    this.stages = Stages.of(family, config);
    this.condition = family.condition(config);
    this.params = createParams(this.stages.params, seed);
    this.average = training.averageDecay > 0 ? createParams(this.stages.params, seed) : undefined;
    this.slots = adamWSlots(this.params);
    this.adam = adamWConfig(training);
    this.conditions = new ConditionSource(this.condition, {
      text: run.text,
      tooLong: run.tooLong ?? 'cut',
      classes: tokens.classes,
    });
    this.heldOut = tokens.size('test');
    this.concerns = [...sampleConcerns({ train: tokens.size('train'), test: this.heldOut }), ...(run.concerns ?? [])];
  }

  /** The weights that are evaluated and kept. */
  private get evaluated(): Params {
    return this.average ?? this.params;
  }

  async begin(): Promise<void> {
    const { from } = this.run;
    if (from)
      for (const params of [this.params, this.average]) if (params) restoreParams('--from', params, from.tensors);
  }

  async step(step: number): Promise<{ measured: Measured; describe: () => string }> {
    const { training, seed } = this.run;
    const samples = this.batch(step - 1);
    const inputs = [
      ...this.tensorsOf(samples, step),
      adamWHyper(step, cosineSchedule(step, training.steps, training), this.adam),
      randomKey(seed, step),
      this.averageDecay(step),
    ] as const;
    this.compiled ??= this.compileStep();
    const outputs = await this.compiled(...inputs);
    const measured = {
      loss: scalar(outputs.loss),
      natsPerCode: scalar(outputs.natsPerCode),
      gradientNorm: scalar(outputs.norm),
    };
    tf.dispose([...inputs, outputs.loss, outputs.natsPerCode, outputs.norm]);
    return { measured, describe: () => listNames(samples.map(({ key }) => key)) };
  }

  async evaluate(final: boolean): Promise<Record<string, number>> {
    const { tokens, training } = this.run;
    return {
      ...(await evaluatePrior(
        { stages: this.stages, params: this.evaluated, condition: this.conditions },
        tokens,
        'test',
        {
          limit: final ? undefined : training.evalSamples,
        },
      )),
    };
  }

  alerts(): Alert[] {
    return [];
  }

  weights(): NamedTensors {
    return exportParams(this.evaluated);
  }

  adopt(weights: NamedTensors): void {
    restoreParams('best weights', this.evaluated, weights);
  }

  content(): { model: NamedTensors; optimizer: NamedTensors } {
    const average = this.average ? renamed(exportParams(this.average), (name) => `average.${name}`) : {};
    return { model: exportParams(this.params), optimizer: { ...exportParams(this.slots), ...average } };
  }

  restore(model: NamedTensors, optimizer: NamedTensors): void {
    const isAverage = (name: string): boolean => name.startsWith('average.');
    const pick = (wanted: boolean): NamedTensors =>
      Object.fromEntries(Object.entries(optimizer).filter(([name]) => isAverage(name) === wanted));
    restoreParams('checkpoint model', this.params, model);
    restoreParams('checkpoint optimizer', this.slots, pick(false));
    if (this.average)
      restoreParams(
        'checkpoint average',
        this.average,
        renamed(pick(true), (name) => name.slice('average.'.length)),
      );
  }

  dispose(): void {
    void this.compiled?.dispose();
    disposeParams(this.params);
    disposeParams(this.slots);
    if (this.average) disposeParams(this.average);
  }

  private compileStep() {
    const { stages, run } = this;
    return compile(
      (codes: tf.Tensor2D, condition: tf.Tensor2D, hyper: tf.Tensor1D, key: tf.Tensor1D, decay: tf.Tensor1D) => {
        const { result, grads } = gradients(this.params, () => stages.loss(this.params, { codes, condition }, key));
        const norm = adamW(this.params, this.slots, grads, hyper, this.adam);
        if (this.average) averageWeights(this.average, this.params, decay);
        return { loss: result.loss, natsPerCode: result.natsPerCode, norm };
      },
      { name: `${run.family.name}_train` },
    );
  }

  /** The decay of the average. It grows from a small value, so that the average forgets the random start. float32 [1]. */
  private averageDecay(step: number): tf.Tensor1D {
    return tf.tensor1d([Math.min(this.run.training.averageDecay, (1 + step) / (10 + step))]);
  }

  /** The samples of a step: consecutive elements of an endless sequence of permutations. */
  private batch(step: number): TokenSample[] {
    const { tokens, training, seed } = this.run;
    const size = tokens.size('train');
    const places = Array.from({ length: training.batchSize }, (_, i) => step * training.batchSize + i);
    const indices = places.map((place) => {
      const epoch = Math.floor(place / size);
      if (this.order?.epoch !== epoch) this.order = { epoch, indices: tokens.shuffledOrder('train', seed, epoch) };
      return this.order.indices[place % size]!;
    });
    return tokens.readBatch('train', indices);
  }

  /** Codes int32 [B, N] and conditions int32 [B, P], some of which are dropped. */
  private tensorsOf(samples: TokenSample[], step: number): [tf.Tensor2D, tf.Tensor2D] {
    const { training, seed } = this.run;
    const rng = new Rng(seed, 'prior.condition', step);
    const { length } = this.condition;
    const codes = flatCodes(samples);
    const conditions = new Int32Array(samples.length * length);
    samples.forEach((sample, row) => {
      const dropped = rng.uniform() < training.captionDropout;
      const condition = this.conditions.of(sample, (n) => rng.int(n));
      conditions.set(dropped ? this.conditions.prompt(null) : condition, row * length);
    });
    return [
      tf.tensor2d(codes, [samples.length, codes.length / samples.length], 'int32'),
      tf.tensor2d(conditions, [samples.length, length], 'int32'),
    ];
  }
}

const renamed = (tensors: NamedTensors, rename: (name: string) => string): NamedTensors =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [rename(name), tensor]));
