// The quantizers there are, and a quantizer at work in a codec: over grids of latents, under a name of its own.
import type { RandomKey, tf as TF } from '../../src/engine/index.js';
import { tf } from '../../src/engine/index.js';
import type { TokenMapSpec } from '../../src/interfaces/index.js';
import { prefixed, scoped } from '../../src/nn/params.js';
import type { Params, ParamSpecs } from '../../src/nn/params.js';
import type { QuantizerFamily, TrainingMoment } from '../../src/nn/quantizer.js';
import { emaVq } from './ema-vq.js';
import { grouped } from './grouped.js';
import { residual } from './residual.js';
import { vq } from './vq.js';
import { fsq } from './fsq.js';
import { gumbel } from './gumbel.js';
import { lfq } from './lfq.js';
import { quantizerFamily, registerQuantizer } from './registry.js';
import type { QuantizerConfig } from './registry.js';
import { simVq } from './simvq.js';

export { QuantizerConfigSchema, quantizerFamily, quantizerNames, registerQuantizer } from './registry.js';
export type { QuantizerConfig } from './registry.js';

registerQuantizer(emaVq);
registerQuantizer(vq);
registerQuantizer(grouped);
registerQuantizer(residual);
registerQuantizer(fsq);
registerQuantizer(lfq);
registerQuantizer(simVq);
registerQuantizer(gumbel);

/** A quantizer over the grids of a codec. Its parameters are those of the codec's that begin with `scope`. */
export class Quantizer {
  private readonly family: QuantizerFamily;

  constructor(
    private readonly config: QuantizerConfig,
    private readonly scope = 'quantizer',
  ) {
    this.family = quantizerFamily(config.name);
  }

  /** Channels the encoder gives and the decoder takes. */
  get width(): number {
    return this.family.width(this.config);
  }

  trainable(): ParamSpecs {
    return prefixed(this.scope, this.family.trainable(this.config));
  }

  state(): ParamSpecs {
    return prefixed(this.scope, this.family.state(this.config));
  }

  /** Ids of a grid [h, w]: the map has a third axis when a position has several. */
  map(name: string, grid: readonly [number, number]): TokenMapSpec {
    const depth = this.family.depth(this.config);
    return { name, shape: depth === 1 ? [...grid] : [...grid, depth], vocabSize: this.family.vocabSize(this.config) };
  }

  /** Starts the codebook from the latents of a first batch, float32 [B, h, w, D]. */
  initialize(p: Params, latents: TF.Tensor4D, key: RandomKey): void {
    this.family.initialize?.(this.own(p), this.rows(latents), key, this.config);
  }

  /** float32 [B, h, w, D] -> codes of the same shape that carry the gradient, ids int32 [B, h, w(, depth)], and the quantizer's loss. Assigns the state. */
  train(p: Params, latents: TF.Tensor4D, moment: TrainingMoment): { codes: TF.Tensor4D; ids: TF.Tensor; loss: TF.Scalar } {
    const { codes, ids, loss } = this.family.train(this.own(p), this.rows(latents), moment, this.config);
    return { codes: tf.reshape(codes, latents.shape), ids: this.grid(ids, latents), loss };
  }

  /** float32 [B, h, w, D] -> int32 [B, h, w(, depth)]. */
  encode(p: Params, latents: TF.Tensor4D): TF.Tensor {
    return this.grid(this.family.encode(this.own(p), this.rows(latents), this.config), latents);
  }

  /** int32 [B, h, w(, depth)] -> float32 [B, h, w, D]. */
  decode(p: Params, ids: TF.Tensor): TF.Tensor4D {
    const [batch, height, width] = ids.shape as [number, number, number];
    const codes = this.family.decode(this.own(p), tf.reshape(ids, [-1, this.family.depth(this.config)]), this.config);
    return tf.reshape(codes, [batch, height, width, this.width]);
  }

  private own(p: Params): Params {
    return scoped(this.scope, p);
  }

  private rows(latents: TF.Tensor4D): TF.Tensor2D {
    return tf.reshape(latents, [-1, this.width]);
  }

  private grid(ids: TF.Tensor2D, { shape: [batch, height, width] }: TF.Tensor4D): TF.Tensor {
    const depth = this.family.depth(this.config);
    return tf.reshape(ids, depth === 1 ? [batch, height, width] : [batch, height, width, depth]);
  }
}
