// A layer is a value: its weights, what it computes, and how far it sees. A network is a combination of layers, so that its
// weights, its forward pass and its reach come from one definition.
import type { tf } from '../engine/index.js';
import { UsageError } from '../errors.js';
import { listNames } from '../names.js';
import { prefixed, scoped } from './params.js';
import type { Params, ParamSpecs } from './params.js';

/** A range of positions along one axis, including both ends. It may begin before 0. */
export interface Range {
  first: number;
  last: number;
}

/**
 * Gives the inputs along an axis that a range of outputs depends on, or undefined for all inputs, as with attention. Axis 0 is
 * the first after the batch. Functions of ranges compose exactly for layers of any stride.
 */
export type Sight = (outputs: Range, axis: number) => Range | undefined;

/** float32 [B, ...axes, C] -> [B, ...axes', C']. */
export interface Layer {
  /** Weights, named without a prefix. */
  readonly params: ParamSpecs;
  /** The outputs have the rank of the inputs. */
  apply<R extends tf.Rank>(p: Params, x: tf.Tensor<R>): tf.Tensor<R>;
  readonly sees: Sight;
  /** Name of the weight that makes the outputs, if there is one. Its gradient balances the adversarial loss, whatever its shape. */
  readonly output?: string;
}

/** Every output depends on every input. */
export const SEES_EVERYTHING: Sight = () => undefined;

/** Every output depends on the input at its own position. */
export const SEES_ITSELF: Sight = (outputs) => outputs;

/** The sight of two layers in sequence. */
export const through =
  (earlier: Sight, later: Sight): Sight =>
  (outputs, axis) => {
    const between = later(outputs, axis);
    return between && earlier(between, axis);
  };

/** The sight of a layer that combines several layers of one input. */
export const together =
  (...sights: readonly Sight[]): Sight =>
  (outputs, axis) => {
    const ranges = sights.map((sees) => sees(outputs, axis));
    if (!ranges.every((range) => range !== undefined)) return undefined;
    return { first: Math.min(...ranges.map(({ first }) => first)), last: Math.max(...ranges.map(({ last }) => last)) };
  };

/** A layer without weights that computes each position separately: `pointwise((x) => tf.relu(x))`. */
export function pointwise(compute: Bound<Layer>): Layer {
  return { params: {}, apply: (_, x) => compute(x), sees: SEES_ITSELF };
}

/**
 * Layers in sequence. Their weights are named by their keys: `{ down: conv }` has `down.weight`.
 *
 * @param parts layers by key, in order. Parts that are false are left out. Keys may contain dots, as in `{ 'down.activation': relu }`.
 */
export function chain(parts: Record<string, Layer | false>): Layer {
  const layers = Object.entries(parts).filter((part): part is [string, Layer] => part[1] !== false);
  const last = layers.findLast(([, { output }]) => output !== undefined);
  return {
    params: Object.assign({}, ...layers.map(([name, { params }]) => prefixed(name, params))) as ParamSpecs,
    apply: (p, x) => layers.reduce((value, [name, layer]) => layer.apply(scoped(name, p), value), x),
    sees: layers.reduce<Sight>((sees, [, layer]) => through(sees, layer.sees), SEES_ITSELF),
    ...(last && { output: `${last[0]}.${last[1].output!}` }),
  };
}

/** Layers that are not in sequence, each with weights named by its key. */
export function named<K extends string>(layers: Record<K, Layer>): Record<K, Layer> {
  const entries = Object.entries<Layer>(layers).map(([name, layer]) => [name, chain({ [name]: layer })]);
  return Object.fromEntries(entries) as Record<K, Layer>;
}

/** Nested groups of layers by name, for networks that are not a sequence, such as a transformer. */
export interface LayerTree {
  readonly [name: string]: Layer | LayerTree;
}

const isLayer = (part: Layer | LayerTree): part is Layer => typeof part['apply'] === 'function';

/** The weights of all layers of a tree, named by their paths: `attn.c_proj.weight`. */
export function paramsOf(tree: LayerTree): ParamSpecs {
  const parts = Object.entries(tree).map(([name, part]) =>
    prefixed(name, isLayer(part) ? part.params : paramsOf(part)),
  );
  return Object.assign({}, ...parts) as ParamSpecs;
}

/** A tree with a function of its input in place of each layer. */
export type Bound<T> = T extends Layer
  ? <R extends tf.Rank>(x: tf.Tensor<R>) => tf.Tensor<R>
  : { [K in keyof T]: Bound<T[K]> };

/** Binds the layers of a tree to their weights. @param p weights with the names of {@link paramsOf}. */
export function bind<T extends LayerTree>(tree: T, p: Params): Bound<T> {
  const parts = Object.entries(tree).map(([name, part]) => {
    const own = scoped(name, p);
    return [name, isLayer(part) ? <R extends tf.Rank>(x: tf.Tensor<R>) => part.apply(own, x) : bind(part, own)];
  });
  return Object.fromEntries(parts) as Bound<T>;
}

/**
 * A weight by name. The caller gives its rank as a type.
 *
 * @throws {UsageError} E_WEIGHT naming the weight and those that exist.
 */
export function weight<R extends tf.Rank = tf.Rank>(p: Params, name: string): tf.Variable<R> {
  const found: tf.Variable | undefined = p[name];
  if (found === undefined)
    throw new UsageError('E_WEIGHT', `weight "${name}": expected one of ${listNames(Object.keys(p)) || 'none'}.`);
  return found as tf.Variable<R>;
}

/** Number of positions beyond the borders of its own cell that something depends on. */
export interface Reach {
  before: number;
  after: number;
}

/** A cell far from the borders, where nothing is cut off. */
const FAR = 1 << 20;

/**
 * Computes how far a network sees along one axis.
 *
 * @param cell outputs that are made from so many inputs of their own: { outputs: 1, inputs: 8 } for an encoder that
 *   halves three times, { outputs: 8, inputs: 1 } for its decoder.
 * @returns inputs beyond those of the cell that its outputs depend on; undefined when it sees everything.
 */
export function reachOf(sees: Sight, axis: number, cell: { outputs: number; inputs: number }): Reach | undefined {
  const [first, last] = [FAR * cell.outputs, (FAR + 1) * cell.outputs - 1];
  const range = sees({ first, last }, axis);
  if (!range) return undefined;
  return {
    before: Math.max(0, FAR * cell.inputs - range.first),
    after: Math.max(0, range.last - ((FAR + 1) * cell.inputs - 1)),
  };
}
