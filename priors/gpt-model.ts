// The GPT prior as one stage: it generates code by code over a key-value cache.
import { compile, hostValues, tf } from '../src/engine/index.js';
import type { Compiled } from '../src/engine/index.js';
import { specOf } from '../src/interfaces/index.js';
import { codeScores } from '../src/losses/codes.js';
import { parseConfig } from '../src/model/config.js';
import type { ExportedFunction } from '../src/model/exported.js';
import { delayOrder, levelOrder, rasterOrder } from '../src/model/order.js';
import type { Params } from '../src/model/params.js';
import { oneMap } from '../src/model/token-map.js';
import type { Decoder, OpenStage, PriorFamily, StageBatch, StageContext, StepStage } from '../src/model/prior.js';
import { conditionOf } from './condition.js';
import { codeCount, codeNats, decodeStep, GptConfigSchema, gptLoss, prefill, prefixLength, specs } from './gpt.js';
import type { GptConfig } from './gpt.js';

/** Nats and hits of every code. */
function scoreBatch(p: Params, batch: StageBatch, c: GptConfig): ReturnType<typeof codeScores> {
  return codeScores(codeNats(p, batch, c).logits, tf.reshape(batch.codes, [-1]));
}

/** Compiles the functions of generation. */
function openGpt(config: GptConfig, params: Params): OpenStage<Decoder> {
  const prefiller = compile((condition: tf.Tensor2D) => prefill(params, condition, config), {
    name: 'gpt_prefill',
    freeze: true,
  });
  const stepper = compile(
    (ids: tf.Tensor1D, position: tf.Tensor1D, mask: tf.Tensor1D, keys: tf.Tensor[], values: tf.Tensor[]) =>
      decodeStep(params, ids, position, mask, { keys, values }, config),
    { name: 'gpt_step', freeze: true },
  );
  return {
    sampler: async (rows) => new GptDecoder(rows, config, prefiller, stepper),
    dispose: () => {
      void prefiller.dispose();
      void stepper.dispose();
    },
  };
}

type Produced = { logits: tf.Tensor2D; keys: tf.Tensor; values: tf.Tensor };
type Prefill = Compiled<[tf.Tensor2D], Produced>;
type Step = Compiled<[tf.Tensor1D, tf.Tensor1D, tf.Tensor1D, tf.Tensor[], tf.Tensor[]], Produced>;

/** Cache sizes that graphs are compiled for. Attention costs as much as the cache can hold, so the cache grows in steps. */
const CAPACITIES = [32, 64, 128, 256, 384, 512, 768, 1024, 1536, 2048];

/** The running state of one batch of sequences. */
class GptDecoder implements Decoder {
  private position = 0;
  private capacity = 0;
  private keys = new Float32Array(0);
  private values = new Float32Array(0);
  private mask = new Float32Array(0);

  constructor(
    private readonly rows: number,
    private readonly config: GptConfig,
    private readonly prefill: Prefill,
    private readonly stepOnce: Step,
  ) {}

  async start({ conditions }: StageContext): Promise<Float32Array> {
    const length = prefixLength(this.config);
    const input = tf.tensor2d(conditions, [this.rows, length], 'int32');
    const produced = await this.prefill(input);
    this.position = 0;
    this.capacity = 0;
    const logits = this.absorb(produced, length);
    input.dispose();
    return logits;
  }

  async step(codes: Int32Array): Promise<Float32Array> {
    this.reserve(this.position + 1);
    const { nLayer, nHead, nEmbd } = this.config;
    const shape = [this.rows, nHead, this.capacity, nEmbd / nHead];
    const layers = (cache: Float32Array): tf.Tensor[] =>
      Array.from({ length: nLayer }, (_, i) =>
        tf.tensor(cache.subarray((i * cache.length) / nLayer, ((i + 1) * cache.length) / nLayer), shape),
      );
    const inputs = [
      tf.tensor1d(codes, 'int32'),
      tf.tensor1d([this.position], 'int32'),
      tf.tensor1d(this.mask),
      layers(this.keys),
      layers(this.values),
    ] as [tf.Tensor1D, tf.Tensor1D, tf.Tensor1D, tf.Tensor[], tf.Tensor[]];
    const produced = await this.stepOnce(...inputs);
    tf.dispose(inputs);
    return this.absorb(produced, 1);
  }

  /** Appends new keys and values to the cache, which the graph never copies. */
  private absorb(produced: Produced, length: number): Float32Array {
    this.reserve(this.position + length);
    const size = this.config.nEmbd / this.config.nHead;
    for (const [from, to] of [
      [produced.keys, this.keys],
      [produced.values, this.values],
    ] as const) {
      copyBlocks(hostValues(from) as Float32Array, length * size, to, this.capacity * size, this.position * size);
    }
    this.mask.fill(0, this.position, this.position + length);
    this.position += length;
    const logits = hostValues(produced.logits) as Float32Array;
    tf.dispose([produced.logits, produced.keys, produced.values]);
    return logits;
  }

  private reserve(needed: number): void {
    if (needed <= this.capacity) return;
    const { nLayer, nHead, nEmbd } = this.config;
    const size = nEmbd / nHead;
    const blocks = nLayer * this.rows * nHead;
    const capacity = CAPACITIES.find((c) => c >= needed) ?? Math.ceil(needed / 1024) * 1024;
    const grow = (old: Float32Array): Float32Array<ArrayBuffer> => {
      const grown = new Float32Array(blocks * capacity * size);
      const filled = this.position * size;
      for (let block = 0; block < blocks; block++) {
        grown.set(
          old.subarray(block * this.capacity * size, block * this.capacity * size + filled),
          block * capacity * size,
        );
      }
      return grown;
    };
    this.keys = grow(this.keys);
    this.values = grow(this.values);
    this.mask = new Float32Array(capacity).fill(-1e9).fill(0, 0, this.position);
    this.capacity = capacity;
  }
}

/** Copies consecutive blocks to where `to` has them, each `offset` into a stretch of `stride`. */
function copyBlocks(from: Float32Array, block: number, to: Float32Array, stride: number, offset: number): void {
  for (let [source, target] = [0, offset]; source < from.length; source += block, target += stride) {
    // Element by element: the blocks of a step are so short that making a view of each costs more.
    for (let i = 0; i < block; i++) to[target + i] = from[source + i]!;
  }
}

const ORDERS = { raster: rasterOrder, level: levelOrder, delay: delayOrder };

/** The only stage of a GPT prior. */
const stageOf = (c: GptConfig): StepStage => ({
  name: 'gpt',
  predicts: c.codes.name,
  given: [],
  order: ORDERS[c.order ?? 'raster'](c.codes),
  sampler: 'steps',
  params: specs(c),
  loss: (p, batch, key) => gptLoss(p, batch, key, c),
  score: (p, batch) => scoreBatch(p, batch, c),
  open: (p) => openGpt(c, p),
  exports: (p) => exportsOf(p, c),
});

const LOGITS = { name: 'logits', meaning: 'of the next code, unnormalized' };
const READ = 'of the positions read so far: [layer, row, head, position, channel]';
const FRESH = 'to be put into the cache at the position';

function exportsOf(p: Params, c: GptConfig): Record<string, ExportedFunction> {
  const capacity = prefixLength(c) + codeCount(c);
  const cache = [c.nLayer, 1, c.nHead, capacity, c.nEmbd / c.nHead];
  return {
    prefill: {
      fn: (condition) => Object.values(prefill(p, condition as tf.Tensor2D, c)),
      inputs: [
        {
          name: 'condition',
          meaning: 'the prompt as the prior reads it, see conditions',
          shape: [1, prefixLength(c)],
          dtype: 'int32',
        },
      ],
      outputs: [LOGITS, { name: 'keys', meaning: READ }, { name: 'values', meaning: READ }],
      dynamicBatch: false,
    },
    step: {
      fn: (ids, position, mask, keys, values) =>
        Object.values(
          decodeStep(
            p,
            ids as tf.Tensor1D,
            position as tf.Tensor1D,
            mask as tf.Tensor1D,
            { keys: tf.unstack(keys), values: tf.unstack(values) },
            c,
          ),
        ),
      inputs: [
        {
          name: 'ids',
          meaning: `the code drawn last, one a row, in [0, ${c.codes.vocabSize})`,
          shape: [1],
          dtype: 'int32',
        },
        {
          name: 'position',
          meaning: 'of the code drawn last, counted from 0 over condition and codes',
          shape: [1],
          dtype: 'int32',
        },
        {
          name: 'mask',
          meaning: '0 for positions in the cache, a large negative number elsewhere',
          shape: [capacity],
          dtype: 'float32',
        },
        { name: 'keys', meaning: READ, shape: cache, dtype: 'float32' },
        { name: 'values', meaning: READ, shape: cache, dtype: 'float32' },
      ],
      outputs: [LOGITS, { name: 'new_keys', meaning: FRESH }, { name: 'new_values', meaning: FRESH }],
      dynamicBatch: false,
    },
  };
}

/** The GPT prior as the registry knows it. */
export const gpt: PriorFamily<GptConfig> = {
  name: 'gpt',
  parseConfig: (json) => parseConfig('gpt', GptConfigSchema, json),
  mapFields: (maps) => ({ codes: oneMap('gpt', maps) }),
  maps: (c) => [specOf(c.codes)],
  condition: conditionOf,
  stages: (c) => [stageOf(c)],
};
