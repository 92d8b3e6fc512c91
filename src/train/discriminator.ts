// The discriminator of a codec in training: its weights, its optimizer, and the loss it adds to the codec's. It is saved
// with the optimizer and is not part of the model.
import { stopGradient, tf } from '../engine/index.js';
import { ADAMW_DEFAULTS, adamW, adamWHyper, adamWSlots, gradients } from '../nn/optimizer.js';
import type { AdamWConfig } from '../nn/optimizer.js';
import { chain } from '../model/layer.js';
import type { Layer } from '../model/layer.js';
import { createParams, disposeParams } from '../model/params.js';
import type { Params } from '../model/params.js';
import { adaptiveWeight, discriminatorLosses, generatorLoss, patchGan } from '../losses/adversarial.js';
import type { AdversarialTraining } from './config.js';

/** Short averages, because both sides keep changing: Esser et al., arXiv:2012.09841. */
const ADAM: AdamWConfig = { ...ADAMW_DEFAULTS, beta1: 0.5, beta2: 0.9 };

export class Discriminator {
  /** Weights and moments: all that a resumed run needs, by the names it is saved under. */
  readonly saved: Params;
  private readonly network: Layer;
  private readonly weights: Params;
  private readonly slots: Params;

  /** @param channels of the images. */
  constructor(
    channels: number,
    private readonly config: AdversarialTraining,
    seed: number,
  ) {
    this.network = chain({ discriminator: patchGan(channels, config) });
    this.weights = createParams(this.network.params, seed);
    this.slots = adamWSlots(this.weights);
    this.saved = { ...this.weights, ...this.slots };
  }

  /**
   * The optimizer's inputs at a step, counted from 1; null until the discriminator starts.
   *
   * @param rateShare learning rate of the codec's schedule, as a fraction of its peak.
   */
  hyper(step: number, steps: number, rateShare: number): tf.Tensor1D | null {
    const idle = Math.floor(this.config.startFraction * steps);
    return step > idle ? adamWHyper(step - idle, this.config.learningRate * rateShare, ADAM) : null;
  }

  /**
   * The term that the codec adds to its loss. Call it where `loss` was computed, under the same gradient.
   *
   * @param loss of the codec so far, a scalar.
   * @param reconstruction float32 [B, H, W, C], of the same forward pass.
   * @param last the weights at which both gradients are compared.
   */
  objective(
    loss: tf.Scalar,
    reconstruction: tf.Tensor4D,
    last: tf.Tensor,
  ): { term: tf.Scalar; terms: { adversarial: tf.Scalar; lambda: tf.Scalar } } {
    const { value, grad } = tf.valueAndGrad((made: tf.Tensor4D) => generatorLoss(this.judge(made)))(
      stopGradient(reconstruction),
    );
    const adversarial: tf.Scalar = stopGradient(value);
    // A linear function with the gradient of the loss: another pass through the discriminator would cost as much as the first.
    const plane = tf.sum(tf.mul(reconstruction, stopGradient(grad)));
    const lambda = adaptiveWeight(gradientAt(loss, last), gradientAt(plane, last), this.config.maxWeight);
    const tangent = tf.add(plane, stopGradient(tf.sub(adversarial, plane)));
    return { term: tf.mul(tf.mul(lambda, this.config.weight), tangent), terms: { adversarial, lambda } };
  }

  /** Trains the discriminator to distinguish the codec's images from real ones. Assigns its weights. */
  update(images: tf.Tensor4D, reconstruction: tf.Tensor4D, hyper: tf.Tensor1D): Record<string, tf.Scalar> {
    const { result, grads } = gradients(this.weights, () => {
      const { real, made } = discriminatorLosses(this.judge(images), this.judge(reconstruction));
      return { loss: tf.mul(tf.add(real, made), 0.5), real, made };
    });
    adamW(this.weights, this.slots, grads, hyper, ADAM);
    return { discriminatorReal: result.real, discriminatorMade: result.made };
  }

  dispose(): void {
    disposeParams(this.saved);
  }

  private judge(images: tf.Tensor4D): tf.Tensor4D {
    return this.network.apply(this.weights, images);
  }
}

/** The gradient of a scalar that was computed under the running tape. */
function gradientAt(y: tf.Tensor, x: tf.Tensor): tf.Tensor {
  return tf.engine().gradients(() => y, [x]).grads[0]!;
}
