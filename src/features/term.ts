// The perceptual term of a run: a network from a file, and its share of the loss.
import { basename } from 'node:path';
import { importOnnx, tf } from '../engine/index.js';
import type { ImportedNetwork } from '../engine/index.js';
import { InputError, TesseraeError, UsageError, firstLineOf } from '../errors.js';
import { excerpt } from '../names.js';
import { readFile } from '../files/read.js';
import { sha256 } from '../hash.js';
import { checkTakesPictures, featuresOf, perceptualLoss } from './perceptual.js';
import type { FeatureScaling } from './scaling.js';

/** The share of the distance in the loss, and the pixel values that the network expects. */
export interface PerceptualSettings {
  weight: number;
  scaling: FeatureScaling;
}

export class PerceptualTerm {
  /** What a resumed run must have in common. */
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
    checkTakesPictures(this.network, path);
  }

  /** @returns the term, weighted, and the distance itself. */
  objective(images: tf.Tensor4D, reconstruction: tf.Tensor4D): { term: tf.Scalar; terms: { perceptual: tf.Scalar } } {
    const perceptual = ofFile(this.path, () =>
      perceptualLoss(featuresOf(this.network, this.config.scaling), images, reconstruction),
    );
    return { term: tf.mul(perceptual, this.config.weight), terms: { perceptual } };
  }
}

/** What cannot be rebuilt or computed is the file's fault, in whatever layer it comes out. */
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
