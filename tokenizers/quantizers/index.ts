// The quantizers there are, and a quantizer at work in a codec: over grids of latents, under a name of its own.
import type { RandomKey, tf as TF } from '../../src/engine/index.js';
import { tf } from '../../src/engine/index.js';
import type { TokenMapSpec } from '../../src/interfaces/index.js';
import type { Params, ParamSpecs } from '../../src/model/params.js';
import type { TrainingMoment } from '../../src/model/quantizer.js';
import { emaVq } from './ema-vq.js';
import { grouped } from './grouped.js';
import { residual } from './residual.js';
import { vq } from './vq.js';
import { fsq } from './fsq.js';
import { gumbel } from './gumbel.js';
import { lfq } from './lfq.js';
import { registerQuantizer } from './registry.js';
import type { QuantizerConfig } from './registry.js';
import { ScopedQuantizer } from './scoped.js';
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
  private readonly ofRows: ScopedQuantizer;

  constructor(config: QuantizerConfig, scope = 'quantizer') {
    this.ofRows = new ScopedQuantizer(config, scope);
  }

  /** Channels the encoder gives and the decoder takes. */
  get width(): number {
    return this.ofRows.width;
  }

  trainable(): ParamSpecs {
    return this.ofRows.trainable();
  }

  state(): ParamSpecs {
    return this.ofRows.state();
  }

  /** The map of a grid [h, w], with as many levels as a position has ids. */
  map(name: string, grid: readonly number[]): TokenMapSpec {
    return { name, grid: [...grid], levels: this.ofRows.depth, vocabSize: this.ofRows.vocabSize };
  }

  /** Starts the codebook from the latents of a first batch, float32 [B, h, w, D]. */
  initialize(p: Params, latents: TF.Tensor, key: RandomKey): void {
    this.ofRows.initialize(p, this.rows(latents), key);
  }

  /** float32 [B, h, w, D] -> codes of the same shape that carry the gradient, ids int32 [B, h, w(, depth)], and the quantizer's loss. Assigns the state. */
  train(p: Params, latents: TF.Tensor, moment: TrainingMoment): { codes: TF.Tensor; ids: TF.Tensor; loss: TF.Scalar } {
    const { codes, ids, loss } = this.ofRows.train(p, this.rows(latents), moment);
    return { codes: tf.reshape(codes, latents.shape), ids: this.grid(ids, latents), loss };
  }

  /** float32 [B, h, w, D] -> int32 [B, h, w(, depth)]. */
  encode(p: Params, latents: TF.Tensor): TF.Tensor {
    return this.grid(this.ofRows.encode(p, this.rows(latents)), latents);
  }

  /** int32 [B, h, w(, depth)] -> float32 [B, h, w, D]. */
  decode(p: Params, ids: TF.Tensor): TF.Tensor {
    const positions = this.ofRows.depth === 1 ? ids.shape : ids.shape.slice(0, -1);
    const codes = this.ofRows.decode(p, tf.reshape(ids, [-1, this.ofRows.depth]));
    return tf.reshape(codes, [...positions, this.width]);
  }

  private rows(latents: TF.Tensor): TF.Tensor2D {
    return tf.reshape(latents, [-1, this.width]);
  }

  private grid(ids: TF.Tensor2D, { shape }: TF.Tensor): TF.Tensor {
    return tf.reshape(ids, this.idsShape(shape.slice(0, -1)));
  }

  private idsShape(positions: readonly number[]): number[] {
    const { depth } = this.ofRows;
    return depth === 1 ? [...positions] : [...positions, depth];
  }
}
