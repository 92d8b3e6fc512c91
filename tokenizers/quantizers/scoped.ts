// A quantizer with its config and its place among a model's parameters: those whose names begin with its scope.
import type { RandomKey, tf } from '../../src/engine/index.js';
import { prefixed, scoped } from '../../src/model/params.js';
import type { Params, ParamSpecs } from '../../src/model/params.js';
import type { QuantizedBatch, QuantizerFamily, TrainingMoment } from '../../src/model/quantizer.js';
import { quantizerFamily } from './registry.js';
import type { QuantizerConfig } from './registry.js';

/** The methods of `QuantizerFamily` on the parameters of a whole model. Latents are float32 [N, width]. */
export class ScopedQuantizer {
  private readonly family: QuantizerFamily;

  /** @param ownKey what becomes of the random key that is passed on: quantizers side by side draw from streams of their own. */
  constructor(
    private readonly config: QuantizerConfig,
    private readonly scope: string,
    private readonly ownKey: (key: RandomKey) => RandomKey = (key) => key,
  ) {
    this.family = quantizerFamily(config.name);
  }

  get width(): number {
    return this.family.width(this.config);
  }

  get depth(): number {
    return this.family.depth(this.config);
  }

  get vocabSize(): number {
    return this.family.vocabSize(this.config);
  }

  trainable(): ParamSpecs {
    return prefixed(this.scope, this.family.trainable(this.config));
  }

  state(): ParamSpecs {
    return prefixed(this.scope, this.family.state(this.config));
  }

  initialize(p: Params, latents: tf.Tensor2D, key: RandomKey): void {
    this.family.initialize?.(scoped(this.scope, p), latents, this.ownKey(key), this.config);
  }

  train(p: Params, latents: tf.Tensor2D, moment: TrainingMoment): QuantizedBatch {
    return this.family.train(scoped(this.scope, p), latents, { ...moment, key: this.ownKey(moment.key) }, this.config);
  }

  /** float32 [N, width] -> int32 [N, depth]. */
  encode(p: Params, latents: tf.Tensor2D): tf.Tensor2D {
    return this.family.encode(scoped(this.scope, p), latents, this.config);
  }

  /** int32 [N, depth] -> float32 [N, width]. */
  decode(p: Params, ids: tf.Tensor2D): tf.Tensor2D {
    return this.family.decode(scoped(this.scope, p), ids, this.config);
  }
}
