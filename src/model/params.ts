// Parameters are explicit: a record of named TF.js variables, created from a record of shapes and initializations.
import type { NamedTensors } from '../checkpoint/tensors.js';
import { hostValues, tf } from '../engine/index.js';
import { CorruptError, DivergedError } from '../errors.js';
import { expectMemory } from '../memory.js';
import { fillNormal, fillUniform, streamId } from '../rng.js';
import type { RngKey } from '../rng.js';
import { sameShape, sizeOf } from '../shape.js';

/** Trainable weights or running statistics by name, e.g. `h.0.attn.c_attn.weight`. */
export type Params = Record<string, tf.Variable>;

/** How a parameter is initialized. */
export type Init =
  | { kind: 'constant'; value: number }
  /** In [-bound, bound]. */
  | { kind: 'uniform'; bound: number }
  | { kind: 'normal'; std: number }
  /** A table [rows, E] of positions: normal up to row `offset`, then a grid in which a cell is the sum of a vector of its row and one of its column. */
  | { kind: 'grid'; std: number; offset: number; width: number };

export interface ParamSpec {
  shape: number[];
  init: Init;
}

export type ParamSpecs = Record<string, ParamSpec>;

export const ZEROS: Init = { kind: 'constant', value: 0 };
export const ONES: Init = { kind: 'constant', value: 1 };

/** Uniform with the variance of He et al. (arXiv:1502.01852) for rectifiers: bound sqrt(6 / fanIn) times `gain`. */
export const heUniform = (fanIn: number, gain = 1): Init => ({ kind: 'uniform', bound: gain * Math.sqrt(6 / fanIn) });

/**
 * Creates the variables. Each depends only on the seed and its name, so adding one does not change the others.
 *
 * @throws {MemoryError} E_MEMORY for more than the machine can train.
 */
export function createParams(specs: ParamSpecs, seed: number): Params {
  const count = Object.values(specs).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  // As float32: the weights, their gradients and the optimizer's two moments.
  expectMemory(
    `a model of ${count} parameters`,
    4 * 4 * count,
    'Lower the sizes in its config, such as nLayer and nEmbd of gpt, or hidden, codebookSize and codeDim of a codec.',
  );
  return Object.fromEntries(
    Object.entries(specs).map(([name, { shape, init }]) => [
      name,
      variableOf(initialValues(name, shape, init, seed), shape),
    ]),
  );
}

/** Creates a variable, and disposes the tensor that it is made from. */
function variableOf(values: Float32Array, shape: number[]): tf.Variable {
  const initial = tf.tensor(values, shape, 'float32');
  const variable = tf.variable(initial);
  initial.dispose();
  return variable;
}

function initialValues(name: string, shape: number[], init: Init, seed: number): Float32Array {
  const values = new Float32Array(sizeOf(shape));
  const key = { seed, stream: streamId(name), step: 0 };
  switch (init.kind) {
    case 'constant':
      return values.fill(init.value);
    case 'uniform':
      return fillUniform(key, values).map((u) => (2 * u - 1) * init.bound);
    case 'normal':
      return fillNormal(key, values).map((z) => z * init.std);
    case 'grid':
      return gridTable(key, shape, init);
  }
}

/** Cells of one row or of one column start similar, so that the model need not learn that positions form a grid. */
function gridTable(
  key: RngKey,
  [rows, size]: number[],
  { std, offset, width }: Extract<Init, { kind: 'grid' }>,
): Float32Array {
  const table = fillNormal(key, new Float32Array(rows! * size!));
  const ofRow = fillNormal({ ...key, step: 1 }, new Float32Array(rows! * size!));
  const ofColumn = fillNormal({ ...key, step: 2 }, new Float32Array(width * size!));
  return table.map((z, i) => {
    const cell = Math.floor(i / size!) - offset;
    if (cell < 0) return std * z;
    const column = (cell % width) * size! + (i % size!);
    const row = Math.floor(cell / width) * size! + (i % size!);
    return std * Math.SQRT1_2 * (ofRow[row]! + ofColumn[column]!);
  });
}

/**
 * Copies of the current values, for checkpoints and fingerprints.
 *
 * @throws {DivergedError} E_DIVERGED for values that are not finite, which an update may produce from a finite loss.
 */
export function exportParams(params: Params): NamedTensors {
  return Object.fromEntries(
    Object.entries(params).map(([name, variable]) => {
      const data = hostValues(variable).slice() as Float32Array;
      const bad = data.findIndex((value) => !Number.isFinite(value));
      if (bad >= 0)
        throw new DivergedError(
          'E_DIVERGED',
          `weights "${name}": expected finite values, found ${data[bad]} at ${bad}. Train again from the last checkpoint with a lower learning rate.`,
        );
      return [name, { dtype: 'float32', shape: [...variable.shape], data }];
    }),
  );
}

/**
 * Variables with the values of `tensors`, which must have exactly the names and shapes of `specs`.
 *
 * @throws {CorruptError} E_MODEL_TENSORS naming the first tensor that is missing, unknown or of another shape.
 */
export function importParams(where: string, specs: ParamSpecs, tensors: NamedTensors): Params {
  checkTensors(where, specs, tensors);
  return Object.fromEntries(
    Object.entries(specs).map(([name, { shape }]) => [
      name,
      variableOf((tensors[name]!.data as Float32Array).slice(), shape),
    ]),
  );
}

/** Overwrites the variables' values in place, under the conditions of {@link importParams}. */
export function restoreParams(where: string, params: Params, tensors: NamedTensors): void {
  checkTensors(
    where,
    Object.fromEntries(Object.entries(params).map(([name, { shape }]) => [name, { shape: [...shape] }])),
    tensors,
  );
  for (const [name, variable] of Object.entries(params))
    variable.assign(tf.tensor((tensors[name]!.data as Float32Array).slice(), variable.shape, 'float32'));
}

function checkTensors(where: string, specs: Record<string, { shape: number[] }>, tensors: NamedTensors): void {
  const fail = (detail: string): never => {
    throw new CorruptError('E_MODEL_TENSORS', `${where}: ${detail}. The weights belong to another config or version.`);
  };
  for (const [name, { shape }] of Object.entries(specs)) {
    const tensor = tensors[name];
    if (!tensor) return fail(`expected a tensor "${name}", found none`);
    if (tensor.dtype !== 'float32' || !sameShape(tensor.shape, shape))
      fail(`"${name}": expected float32 [${shape.join(', ')}], found ${tensor.dtype} [${tensor.shape.join(', ')}]`);
  }
  for (const name of Object.keys(tensors)) if (!specs[name]) fail(`found an unknown tensor "${name}"`);
}

/** Frees all variables. */
export function disposeParams(params: Params): void {
  for (const variable of Object.values(params)) variable.dispose();
}

/** The parameters with a prefix, by the rest of their names. The variables are the same. */
export function scoped(prefix: string, params: Params): Params {
  const inside = Object.entries(params).filter(([name]) => name.startsWith(`${prefix}.`));
  return Object.fromEntries(inside.map(([name, variable]) => [name.slice(prefix.length + 1), variable]));
}

/** The specs with a prefix before every name. */
export function prefixed(prefix: string, specs: ParamSpecs): ParamSpecs {
  return Object.fromEntries(Object.entries(specs).map(([name, spec]) => [`${prefix}.${name}`, spec]));
}
