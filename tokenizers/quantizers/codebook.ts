// What the quantizers with a codebook have in common: its config, the space codes are looked up in, its start.
import { z } from 'zod';
import { stopGradient, tf } from '../../src/engine/index.js';
import type { RandomKey } from '../../src/engine/index.js';
import type { Params, ParamSpec, ParamSpecs } from '../../src/model/params.js';
import { asColumn, fromColumn, nearestCode, passGradient } from './nearest.js';
import { projection } from './projection.js';
import type { Projection } from './projection.js';
import { startCodes } from './start.js';

/** Fields of a quantizer's config; each adds its own. */
export const CODEBOOK_FIELDS = {
  /** Number of codes, K. */
  codebookSize: z.int().min(2).max(65536).default(512),
  /** Width of a code, D. */
  codeDim: z.int().min(1).max(1024).default(64),
  /** Channels of the codec, projected to `codeDim` for the lookup and back; `codeDim` itself when left out. Narrow codes, 8 or so, keep a large codebook in use. */
  width: z.int().min(1).max(1024).optional(),
  /** Bring latents and codes to length 1, so that the angle between them decides. */
  normalize: z.boolean().default(false),
  /** Where the codebook starts: on random latents of the first batch, or on the means of clusters of them. */
  start: z.enum(['batch', 'kmeans']).default('batch'),
  /** How the decoder's gradient reaches the encoder: unchanged, or turned and scaled as the latent is to become its code. */
  gradient: z.enum(['straight-through', 'rotation']).default('straight-through'),
  /** Weight of the loss that holds the encoder near its codes. */
  commitment: z.number().min(0).default(0.25),
  /** Decay of the moving averages a step. */
  emaDecay: z.number().min(0).max(1).default(0.99),
  /** A code used less than this fraction of an even share is restarted; 0 never restarts. */
  restartBelow: z.number().min(0).max(1).default(0.05),
};

export type CodebookConfig = z.output<z.ZodObject<typeof CODEBOOK_FIELDS>>;

/** A codebook [K, D] before it has seen data. */
export const codebookSpec = ({ codebookSize: K, codeDim: D }: CodebookConfig): ParamSpec => ({
  shape: [K, D],
  init: { kind: 'normal', std: 1 / Math.sqrt(D) },
});

/** The projections around the lookup, if there are any. */
export const spaceSpecs = (config: CodebookConfig): ParamSpecs => projectionOf(config).params;

const projectionOf = ({ width, codeDim }: CodebookConfig): Projection => projection(width, codeDim);

export const widthOf = ({ width, codeDim }: CodebookConfig): number => width ?? codeDim;

/** Rows of length 1 where the config asks for them. float32 [.., D]. */
export function normalizeRows<T extends tf.Tensor>(rows: T, { normalize }: CodebookConfig): T {
  if (!normalize) return rows;
  return tf.div(rows, tf.sqrt(tf.add(tf.sum(tf.square(rows), -1, true), 1e-12)));
}

/** Codec latents float32 [N, width] where codes are looked up, [N, D]. */
export const inSpace = (p: Params, latents: tf.Tensor2D, config: CodebookConfig): tf.Tensor2D =>
  normalizeRows(projectionOf(config).inward(p, latents), config);

/** The codes themselves, float32 [K, D]. */
export const codesOf = (p: Params, config: CodebookConfig): tf.Tensor2D =>
  normalizeRows(p.codebook as unknown as tf.Tensor2D, config);

/**
 * Starts projection and codebook from the latents of a first batch, [N, width].
 *
 * @returns the codes, float32 [K, D].
 */
export function startCodebook(p: Params, latents: tf.Tensor2D, key: RandomKey, config: CodebookConfig): tf.Tensor2D {
  projectionOf(config).start(p, latents);
  const codes = startCodes(inSpace(p, latents, config), config.codebookSize, key, config.start, (rows) =>
    normalizeRows(rows, config),
  );
  p.codebook!.assign(codes);
  return codes;
}

/** A batch at its codes: all rows in the lookup's space, [N, D]. */
export interface Lookup {
  /** With gradient, and without. */
  latents: tf.Tensor2D;
  detached: tf.Tensor2D;
  ids: tf.Tensor1D;
}

/** Looks up latents [N, width] for training. */
export function lookUp(p: Params, rows: tf.Tensor2D, config: CodebookConfig, rateCosts?: tf.Tensor1D): Lookup {
  const latents = inSpace(p, rows, config);
  const detached = stopGradient(latents);
  return { latents, detached, ids: nearestCode(detached, stopGradient(codesOf(p, config)), rateCosts) };
}

/** What the decoder gets for chosen codes [N, D], which take no gradient: float32 [N, width]. */
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
