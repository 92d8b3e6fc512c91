// The common parts of quantizers with a codebook: config, the space of the lookup, and initialization.
import { z } from 'zod';
import { stopGradient, tf } from '../../src/engine/index.js';
import type { RandomKey } from '../../src/engine/index.js';
import { weight } from '../../src/model/layer.js';
import type { Params, ParamSpec, ParamSpecs } from '../../src/model/params.js';
import { asColumn, fromColumn, nearestCode, passGradient } from './nearest.js';
import { projection } from './projection.js';
import type { Projection } from './projection.js';
import { startCodes } from './start.js';

/** Fields that the configs of these quantizers share. */
export const CODEBOOK_FIELDS = {
  /** Number of codes, K. */
  codebookSize: z.int().min(2).max(65536).default(512),
  /** Number of dimensions of a code, D. */
  codeDim: z.int().min(1).max(1024).default(64),
  /** Channels of the codec, which are projected to `codeDim` for the lookup and back. Default: `codeDim`, without a projection. Narrow codes of about 8 dimensions keep a large codebook in use. */
  width: z.int().min(1).max(1024).optional(),
  /** Normalizes latents and codes to length 1, so that the angle between them decides. */
  normalize: z.boolean().default(false),
  /** Initial codes: random latents of the first batch, or the means of their clusters. */
  start: z.enum(['batch', 'kmeans']).default('batch'),
  /** How the decoder's gradient reaches the encoder: unchanged, or rotated and scaled like the latent to its code. */
  gradient: z.enum(['straight-through', 'rotation']).default('straight-through'),
  /** Weight of the commitment loss, which keeps latents near their codes. */
  commitment: z.number().min(0).default(0.25),
  /** Decay of the moving averages in each step. */
  emaDecay: z.number().min(0).max(1).default(0.99),
  /** Codes that are used less than this fraction of the mean use are restarted; 0 never restarts. */
  restartBelow: z.number().min(0).max(1).default(0.05),
};

export type CodebookConfig = z.output<z.ZodObject<typeof CODEBOOK_FIELDS>>;

/** The parameter of a codebook [K, D]. */
export const codebookSpec = ({ codebookSize: K, codeDim: D }: CodebookConfig): ParamSpec => ({
  shape: [K, D],
  init: { kind: 'normal', std: 1 / Math.sqrt(D) },
});

/** The parameters of the projections around the lookup, if there are any. */
export const spaceSpecs = (config: CodebookConfig): ParamSpecs => projectionOf(config).params;

const projectionOf = ({ width, codeDim }: CodebookConfig): Projection => projection(width, codeDim);

export const widthOf = ({ width, codeDim }: CodebookConfig): number => width ?? codeDim;

/** Normalizes rows to length 1 if the config says so. float32 [.., D]. */
export function normalizeRows<T extends tf.Tensor>(rows: T, { normalize }: CodebookConfig): T {
  if (!normalize) return rows;
  return tf.div(rows, tf.sqrt(tf.add(tf.sum(tf.square(rows), -1, true), 1e-12)));
}

/** Projects latents float32 [N, width] into the space of the codes, [N, D]. */
export const inSpace = (p: Params, latents: tf.Tensor2D, config: CodebookConfig): tf.Tensor2D =>
  normalizeRows(projectionOf(config).inward(p, latents), config);

/** The codes, float32 [K, D]. */
export const codesOf = (p: Params, config: CodebookConfig): tf.Tensor2D =>
  normalizeRows(weight<tf.Rank.R2>(p, 'codebook'), config);

/**
 * Initializes projection and codebook from the latents of a first batch, [N, width].
 *
 * @returns the codes, float32 [K, D].
 */
export function startCodebook(p: Params, latents: tf.Tensor2D, key: RandomKey, config: CodebookConfig): tf.Tensor2D {
  projectionOf(config).start(p, latents);
  const codes = startCodes(inSpace(p, latents, config), config.codebookSize, key, config.start, (rows) =>
    normalizeRows(rows, config),
  );
  weight<tf.Rank.R2>(p, 'codebook').assign(codes);
  return codes;
}

/** A batch with its codes, in the space of the codes, [N, D]. */
export interface Lookup {
  /** The latents with and without gradient. */
  latents: tf.Tensor2D;
  detached: tf.Tensor2D;
  ids: tf.Tensor1D;
}

/** Finds the codes of latents [N, width] in training. */
export function lookUp(p: Params, rows: tf.Tensor2D, config: CodebookConfig, rateCosts?: tf.Tensor1D): Lookup {
  const latents = inSpace(p, rows, config);
  const detached = stopGradient(latents);
  return { latents, detached, ids: nearestCode(detached, stopGradient(codesOf(p, config)), rateCosts) };
}

/** The decoder's input for chosen codes [N, D], which get no gradient: float32 [N, width]. */
export const outOfSpace = (p: Params, latents: tf.Tensor2D, codes: tf.Tensor2D, config: CodebookConfig): tf.Tensor2D =>
  projectionOf(config).outward(p, passGradient(latents, codes, config.gradient));

/** float32 [N, width] -> int32 [N, 1]. */
export const encodeLatents = (
  p: Params,
  latents: tf.Tensor2D,
  config: CodebookConfig,
  rateCosts?: tf.Tensor1D,
): tf.Tensor2D => asColumn(nearestCode(inSpace(p, latents, config), codesOf(p, config), rateCosts));

/** int32 [N, 1] -> float32 [N, width]. */
export const decodeIds = (p: Params, ids: tf.Tensor2D, config: CodebookConfig): tf.Tensor2D =>
  projectionOf(config).outward(p, tf.gather(codesOf(p, config), fromColumn(ids)));
