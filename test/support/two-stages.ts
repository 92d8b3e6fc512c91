// A prior of two stages, small enough for tests: the top map of VQ-VAE-2 code by code, then the bottom map in parallel, given
// the top one. It is registered as third parties register theirs.
import { compile, hostValues } from '../../src/engine/index.js';
import { registerPrior } from '../../src/index.js';
import type { Params, PriorFamily, RefineStage, StepStage, TokenMapSpec } from '../../src/index.js';
import * as nn from '../../src/nn.js';
import type { tf as Tf } from '../../src/nn.js';

const { tf, z } = nn;
const schema = z
  .strictObject({
    maps: z.array(nn.TokenMapSchema).length(2),
    width: z.int().min(1).default(16),
    rounds: z.int().min(1).default(4),
    ...nn.conditionFields,
  })
  .superRefine(nn.refuseBadCondition);
type Config = ReturnType<typeof schema.parse>;

const normal = { kind: 'normal', std: 0.02 } as const;

/** Mean cross-entropies and hits. logits float32 [B, N, K], codes int32 [B, N]. */
function scored(logits: Tf.Tensor3D, codes: Tf.Tensor2D): { nats: Tf.Tensor1D; hits: Tf.Tensor1D } {
  const [batch, count, size] = logits.shape;
  return nn.codeScores(tf.reshape(logits, [batch * count, size]), tf.reshape(codes, [-1]));
}

/** The values of logits, which are disposed together with the inputs they were computed from. */
function take(logits: Tf.Tensor, inputs: readonly Tf.Tensor[]): Float32Array {
  const values = hostValues(logits).slice() as Float32Array;
  tf.dispose([logits, ...inputs]);
  return values;
}

/** Predicts each code from its position, the condition, and the code before it. */
function stepStage(c: Config, map: TokenMapSpec): StepStage {
  const [count, K, E] = [nn.codeCount(map), map.vocabSize, c.width];
  const condition = nn.conditionOf(c);
  /** ids int32 [B, T] of the codes before, K for none -> logits [B, T, K]. */
  const logits = (p: Params, before: Tf.Tensor2D, first: Tf.Tensor1D, conditions: Tf.Tensor2D) => {
    const positions = tf.gather(nn.weight(p, 'positions'), first);
    const mean = tf.mean(tf.gather(nn.weight(p, 'condition'), conditions), 1, true);
    const x = tf.relu(tf.add(tf.add(tf.gather(nn.weight(p, 'codes'), before), positions), mean));
    return nn.linear(E, K, { init: normal }).apply(nn.scoped('out', p), x) as Tf.Tensor3D;
  };
  const all = (p: Params, { codes, condition: conditions }: { codes: Tf.Tensor2D; condition: Tf.Tensor2D }) => {
    const [batch] = codes.shape;
    const before = tf.concat([tf.fill([batch, 1], K, 'int32'), tf.slice2d(codes, [0, 0], [-1, count - 1])], 1);
    return logits(p, before as Tf.Tensor2D, tf.range(0, count, 1, 'int32'), conditions);
  };
  return {
    name: 'coarse',
    predicts: map.name,
    given: [],
    order: nn.rasterOrder(),
    sampler: 'steps',
    params: {
      codes: { shape: [K + 1, E], init: normal },
      positions: { shape: [count, E], init: normal },
      condition: { shape: [condition.vocabSize, E], init: normal },
      ...nn.prefixed('out', nn.linear(E, K, { init: normal }).params),
    },
    loss: (p, batch) => {
      const natsPerCode = tf.mean(scored(all(p, batch), batch.codes).nats) as Tf.Scalar;
      return { loss: natsPerCode, natsPerCode };
    },
    score: (p, batch) => scored(all(p, batch), batch.codes),
    open: (p) => {
      const step = compile(
        (before: Tf.Tensor2D, at: Tf.Tensor1D, conditions: Tf.Tensor2D) => logits(p, before, at, conditions),
        { name: 'coarse_step', freeze: true },
      );
      return {
        sampler: async (rows) => {
          let position = 0;
          let conditions: Int32Array = new Int32Array(0);
          const run = async (codes: Int32Array): Promise<Float32Array> => {
            const inputs = [
              tf.tensor2d(codes, [rows, 1], 'int32'),
              tf.tensor1d([position++], 'int32'),
              tf.tensor2d(conditions, [rows, condition.length], 'int32'),
            ] as const;
            return take(await step(...inputs), inputs);
          };
          return {
            start: (context) => {
              [position, conditions] = [0, context.conditions];
              return run(new Int32Array(rows).fill(K));
            },
            step: run,
          };
        },
        dispose: () => void step.dispose(),
      };
    },
    exports: (p) => ({
      step: {
        fn: (...[before, at, conditions]) => logits(p, before as never, at as never, conditions as never),
        inputs: [
          { name: 'ids', shape: [1, 1], dtype: 'int32' },
          { name: 'position', shape: [1], dtype: 'int32' },
          { name: 'condition', shape: [1, condition.length], dtype: 'int32' },
        ],
        outputs: [{ name: 'logits' }],
        dynamicBatch: false,
      },
    }),
  };
}

/** Predicts all codes of the fine map at once, from those that are known and from the coarse map. */
function refineStage(c: Config, coarse: TokenMapSpec, map: TokenMapSpec): RefineStage {
  const [count, K, E] = [nn.codeCount(map), map.vocabSize, c.width];
  const given = nn.codeCount(coarse);
  const mix = nn.linear(given * E, count * E, { init: normal });
  /** codes int32 [B, N] with K for unknown ones, coarse int32 [B, N'] -> logits [B, N, K]. */
  const logits = (p: Params, codes: Tf.Tensor2D, coarseCodes: Tf.Tensor2D): Tf.Tensor3D => {
    const own = tf.add(tf.gather(nn.weight(p, 'codes'), codes), nn.weight(p, 'positions'));
    const context = tf.reshape(tf.gather(nn.weight(p, 'coarse'), coarseCodes), [-1, given * E]);
    const mixed = tf.reshape(mix.apply(nn.scoped('mix', p), context), [-1, count, E]);
    return nn.linear(E, K, { init: normal }).apply(nn.scoped('out', p), tf.relu(tf.add(own, mixed))) as Tf.Tensor3D;
  };
  return {
    name: 'fine',
    predicts: map.name,
    given: [coarse.name],
    order: nn.rasterOrder(),
    sampler: 'refine',
    rounds: c.rounds,
    params: {
      codes: { shape: [K + 1, E], init: normal },
      positions: { shape: [count, E], init: normal },
      coarse: { shape: [coarse.vocabSize, E], init: normal },
      ...nn.prefixed('mix', mix.params),
      ...nn.prefixed('out', nn.linear(E, K, { init: normal }).params),
    },
    loss: (p, { codes, given: [coarseCodes] }, key) => {
      // About half of the codes are hidden.
      const hidden = tf.less(nn.randomUniform(key, codes.shape, 'fine.hidden'), 0.5);
      const seen = tf.where(hidden, tf.fill(codes.shape, K, 'int32'), codes) as Tf.Tensor2D;
      const natsPerCode = tf.mean(scored(logits(p, seen, coarseCodes!), codes).nats) as Tf.Scalar;
      return { loss: natsPerCode, natsPerCode };
    },
    score: (p, { codes, given: [coarseCodes] }) =>
      scored(logits(p, tf.fill(codes.shape, K, 'int32') as Tf.Tensor2D, coarseCodes!), codes),
    open: (p) => {
      const predict = compile((codes: Tf.Tensor2D, coarseCodes: Tf.Tensor2D) => logits(p, codes, coarseCodes), {
        name: 'fine_predict',
        freeze: true,
      });
      return {
        sampler: async (rows) => ({
          predict: async (codes, context) => {
            const inputs = [
              tf.tensor2d(codes, [rows, count], 'int32'),
              tf.tensor2d(context.given[0]!, [rows, given], 'int32'),
            ] as const;
            return take(await predict(...inputs), inputs);
          },
        }),
        dispose: () => void predict.dispose(),
      };
    },
    exports: (p) => ({
      predict: {
        fn: (...[codes, coarseCodes]) => logits(p, codes as never, coarseCodes as never),
        inputs: [
          { name: 'codes', shape: [1, count], dtype: 'int32' },
          { name: 'coarse_codes', shape: [1, given], dtype: 'int32' },
        ],
        outputs: [{ name: 'logits' }],
        dynamicBatch: false,
      },
    }),
  };
}

export const twoStages: PriorFamily<Config> = {
  name: 'two-stages',
  parseConfig: (json) => nn.parseConfig('two-stages', schema, json),
  mapFields: (maps) => ({ maps }),
  maps: ({ maps }) => maps,
  condition: nn.conditionOf,
  stages: (c) => {
    const [coarse, fine] = c.maps as [TokenMapSpec, TokenMapSpec];
    return [stepStage(c, coarse), refineStage(c, coarse, fine)];
  },
};

registerPrior(twoStages);
