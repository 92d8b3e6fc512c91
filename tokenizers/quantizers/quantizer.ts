// Quantizers by name, and a quantizer in a model: with its config, on the parameters under its own prefix. The package's own are
// registered in index.ts, so that quantizers made of others can look theirs up here.
import { z } from 'zod';
import { tf } from '../../src/engine/index.js';
import type { RandomKey } from '../../src/engine/index.js';
import { TesseraeError } from '../../src/errors.js';
import type { TokenMapSpec } from '../../src/interfaces/index.js';
import { prefixed, scoped } from '../../src/model/params.js';
import type { Params, ParamSpecs } from '../../src/model/params.js';
import type { QuantizedBatch, QuantizerFamily, TrainingMoment } from '../../src/model/quantizer.js';
import { expectContract, register, unknownName } from '../../src/registered.js';

const families = new Map<string, QuantizerFamily>();

/** @throws {UsageError} E_REGISTERED_SHAPE naming a field that is missing, E_REGISTERED when the name is taken. */
export function registerQuantizer<C>(family: QuantizerFamily<C>): void {
  expectContract('quantizer', family, {
    texts: ['name'],
    functions: ['parseConfig', 'width', 'vocabSize', 'trainable', 'state', 'train', 'encode', 'decode'],
  });
  register('quantizer', families, family);
}

/** @throws {UsageError} E_UNKNOWN_MODEL listing the names there are. */
export function quantizerFamily(name: string): QuantizerFamily {
  const family = families.get(name);
  if (!family) throw unknownName('E_UNKNOWN_MODEL', `quantizer "${name}"`, quantizerNames());
  return family;
}

export const quantizerNames = (): string[] => [...families.keys()];

/** The part of a codec's config that names its quantizer and configures it. */
export type QuantizerConfig = { name: string } & Record<string, unknown>;

/** Parses a config with the schema of its quantizer. The default quantizer is `ema-vq`. */
export const QuantizerConfigSchema = z
  .looseObject({ name: z.string().default('ema-vq') })
  .transform((json, context): QuantizerConfig => {
    try {
      return quantizerFamily(json.name).parseConfig(json) as QuantizerConfig;
    } catch (error) {
      if (!(error instanceof TesseraeError)) throw error;
      context.addIssue({ code: 'custom', message: error.detail });
      return z.NEVER;
    }
  })
  .prefault({});

/**
 * A quantizer in a model. Latents have any number of axes: float32 [...positions, width]. Ids are int32 [...positions], or
 * [...positions, levels] if a position has several. Nested quantizers work on matrices, as `QuantizerFamily` does.
 */
export class Quantizer {
  private readonly family: QuantizerFamily;

  /**
   * @param scope  prefix of the quantizer's parameters among those of the model.
   * @param keyFor changes the random key: quantizers side by side draw from different streams.
   */
  constructor(
    private readonly config: QuantizerConfig,
    private readonly scope = 'quantizer',
    private readonly keyFor: (key: RandomKey) => RandomKey = (key) => key,
  ) {
    this.family = quantizerFamily(config.name);
  }

  /** Channels that the encoder gives and the decoder takes. */
  get width(): number {
    return this.family.width(this.config);
  }

  /** Ids at each position. */
  get levels(): number {
    return this.family.levels?.(this.config) ?? 1;
  }

  get vocabSize(): number {
    return this.family.vocabSize(this.config);
  }

  /** The token map of a grid of positions. */
  map(name: string, grid: readonly number[]): TokenMapSpec {
    return { name, grid: [...grid], levels: this.levels, vocabSize: this.vocabSize };
  }

  trainable(): ParamSpecs {
    return prefixed(this.scope, this.family.trainable(this.config));
  }

  state(): ParamSpecs {
    return prefixed(this.scope, this.family.state(this.config));
  }

  /** Assigns the codebook from the latents of a first batch. */
  initialize(p: Params, latents: tf.Tensor, key: RandomKey): void {
    this.family.initialize?.(scoped(this.scope, p), this.rowsOf(latents), this.keyFor(key), this.config);
  }

  /** Gives codes of the latents' shape that carry the gradient, their ids, and the quantizer's loss. Assigns the state. */
  train<R extends tf.Rank>(
    p: Params,
    latents: tf.Tensor<R>,
    moment: TrainingMoment,
  ): { codes: tf.Tensor<R>; ids: tf.Tensor; loss: tf.Scalar } {
    const { codes, ids, loss } = this.trainRows(p, this.rowsOf(latents), moment);
    return { codes: tf.reshape<R>(codes, latents.shape), ids: this.idsOf(ids, latents.shape), loss };
  }

  encode(p: Params, latents: tf.Tensor): tf.Tensor {
    return this.idsOf(this.encodeRows(p, this.rowsOf(latents)), latents.shape);
  }

  decode<R extends tf.Rank = tf.Rank>(p: Params, ids: tf.Tensor): tf.Tensor<R> {
    const positions = this.levels === 1 ? ids.shape : ids.shape.slice(0, -1);
    return tf.reshape(this.decodeRows(p, tf.reshape(ids, [-1, this.levels])), [
      ...positions,
      this.width,
    ] as tf.ShapeMap[R]);
  }

  /** float32 [N, width] -> codes float32 [N, width] and ids int32 [N, levels]. */
  trainRows(p: Params, latents: tf.Tensor2D, moment: TrainingMoment): QuantizedBatch {
    return this.family.train(scoped(this.scope, p), latents, { ...moment, key: this.keyFor(moment.key) }, this.config);
  }

  /** float32 [N, width] -> int32 [N, levels]. */
  encodeRows(p: Params, latents: tf.Tensor2D): tf.Tensor2D {
    return this.family.encode(scoped(this.scope, p), latents, this.config);
  }

  /** int32 [N, levels] -> float32 [N, width]. */
  decodeRows(p: Params, ids: tf.Tensor2D): tf.Tensor2D {
    return this.family.decode(scoped(this.scope, p), ids, this.config);
  }

  private rowsOf(latents: tf.Tensor): tf.Tensor2D {
    return tf.reshape(latents, [-1, this.width]);
  }

  /** @param shape of the latents. */
  private idsOf(ids: tf.Tensor2D, shape: readonly number[]): tf.Tensor {
    const positions = shape.slice(0, -1);
    return tf.reshape(ids, this.levels === 1 ? positions : [...positions, this.levels]);
  }
}
