// The perceptual term of a training run: a network from a file, and its weight in the loss.
import { basename } from 'node:path';
import { importOnnx, tf } from '../engine/index.js';
import type { ImportedNetwork } from '../engine/index.js';
import { InputError, TesseraeError, UsageError, firstLineOf } from '../errors.js';
import { excerpt } from '../names.js';
import { readFile } from '../files/read.js';
import { sha256 } from '../hash.js';
import { checkTakesImages, featuresOf, perceptualLoss } from './perceptual.js';
import type { FeatureScaling } from './scaling.js';

/** Settings of the perceptual term. */
export interface PerceptualSettings {
  weight: number;
  scaling: FeatureScaling;
}

export class PerceptualTerm {
  /** The network, which a resumed run must use again. */
  readonly identity: { network: string; sha256: string };
  private readonly network: ImportedNetwork;

  /**
   * @param path of an ONNX network whose outputs are all feature maps.
   * @throws {UsageError} E_NOT_FOUND, E_FEATURES. @throws {InputError} with the codes of `importOnnx`.
   */
  constructor(
    private readonly path: string,
    private readonly config: PerceptualSettings,
  ) {
    const bytes = readFile(path);
    this.identity = { network: basename(path), sha256: sha256(bytes) };
    this.network = ofFile(path, () => importOnnx(bytes, path));
    checkTakesImages(this.network, path);
  }

  /** @returns the term, weighted, and the distance itself. */
  objective(images: tf.Tensor4D, reconstruction: tf.Tensor4D): { term: tf.Scalar; terms: { perceptual: tf.Scalar } } {
    const perceptual = ofFile(this.path, () =>
      perceptualLoss(featuresOf(this.network, this.config.scaling), images, reconstruction),
    );
    return { term: tf.mul(perceptual, this.config.weight), terms: { perceptual } };
  }
}

/** Attributes all errors of building or computing the network to its file. */
function ofFile<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof InputError || error instanceof UsageError) throw error;
    if (error instanceof TesseraeError) throw new InputError(error.code, error.detail, { cause: error });
    throw new InputError(
      'E_FEATURES_FILE',
      `${path}: expected a network that can be rebuilt for training, found one that fails (${excerpt(firstLineOf(error), 200)}). Use another network.`,
      { cause: error },
    );
  }
}
