// A node of an ONNX network that is rebuilt in TF.js ops, with its inputs and attributes.
import { EngineError } from '../errors.js';
import type { OnnxNode, OnnxTensor } from './onnx-reader.js';
import { tf } from './tf.js';

/**
 * A value in a network being rebuilt: a tensor, or a constant (from the file or derived from a shape) whose numbers are
 * known.
 */
export type Operand = tf.Tensor | OnnxTensor;

export const isTensor = (value: Operand): value is tf.Tensor => value instanceof tf.Tensor;

/** A node together with its inputs. */
export class Site {
  constructor(
    readonly node: OnnxNode,
    private readonly inputs: readonly (Operand | undefined)[],
    /** Version of the standard operators. */
    readonly opset: number,
    private readonly where: string,
    /** Converts a constant to a tensor, once. */
    private readonly materialize: (constant: OnnxTensor, form: Form) => tf.Tensor,
  ) {}

  has(index: number): boolean {
    return this.inputs[index] !== undefined;
  }

  operand(index: number): Operand {
    return this.inputs[index] ?? this.fail(`an input ${index}`, 'none');
  }

  tensor(index: number, form: Form = 'plain'): tf.Tensor {
    const value = this.operand(index);
    if (!isTensor(value)) return this.materialize(value, form);
    return form === 'plain' ? value : tf.transpose(value, FILTERS[form]);
  }

  /** Returns an input of shape [B, C, H, W]. */
  image(index: number): tf.Tensor4D {
    const value = this.tensor(index);
    if (value.rank !== 4) this.fail('[B, C, H, W]', `[${value.shape.join(', ')}]`);
    return value as tf.Tensor4D;
  }

  /** Returns the numbers of a constant input, or undefined if the input is omitted. */
  numbers(index: number): number[] | undefined {
    const value = this.inputs[index];
    if (value === undefined) return undefined;
    if (isTensor(value)) return this.fail(`a constant as input ${index}`, 'one that is computed');
    return [...value.data];
  }

  /** Whether all inputs are constants. */
  get isConstant(): boolean {
    return this.inputs.every((value) => value === undefined || !isTensor(value));
  }

  int(name: string, otherwise: number): number {
    const value = this.node.attributes[name] ?? otherwise;
    return typeof value === 'number' ? value : this.fail(`a number as ${name}`, typeof value);
  }

  ints(name: string): number[] | undefined {
    const value = this.node.attributes[name];
    return value === undefined || Array.isArray(value) ? value : this.fail(`a list as ${name}`, typeof value);
  }

  text(name: string, otherwise: string): string {
    const value = this.node.attributes[name] ?? otherwise;
    return typeof value === 'string' ? value : this.fail(`text as ${name}`, typeof value);
  }

  /**
   * Returns axes of `rank`, counted from the front. They are an attribute before operator version `since`, and an input
   * from then on.
   */
  axes(rank: number, index: number, since: number): number[] | undefined {
    const axes = this.opset < since ? this.ints('axes') : this.numbers(index);
    return axes?.map((axis) => this.axis(axis, rank));
  }

  axis(axis: number, rank: number): number {
    return axis >= -rank && axis < rank ? (axis + rank) % rank : this.fail(`an axis of rank ${rank}`, String(axis));
  }

  /** @throws {EngineError} E_IMPORT_OP */
  fail(expected: string, received: string): never {
    throw new EngineError(
      'E_IMPORT_OP',
      `${this.where}, node "${this.node.name}" (${this.node.op}): expected ${expected}, received ${received}. Only image networks of standard operators can be rebuilt.`,
    );
  }
}

/** Layout of a constant as a tensor: unchanged, or as TF.js expects convolution filters. */
export type Form = 'plain' | 'filter' | 'depthwise';

/** Permutations from [Co, Ci, kh, kw]. Depthwise filters have Ci = 1 and become [kh, kw, Co, 1]. */
const FILTERS: Record<Exclude<Form, 'plain'>, number[]> = { filter: [2, 3, 1, 0], depthwise: [2, 3, 0, 1] };

/** Returns the layout of a grouped convolution's filter. TF.js calls one input channel per group depthwise. */
export const filterForm = ([, inner]: readonly number[], group: unknown): Form =>
  typeof group === 'number' && group > 1 && inner === 1 ? 'depthwise' : 'filter';

/** Converts a constant to a tensor. Its axes are permuted here rather than in the graph. */
export function constantTensor({ data, shape, dtype }: OnnxTensor, form: Form): tf.Tensor {
  if (form === 'plain') return tf.tensor(data, shape, dtype);
  const [out, inner, height, width] = shape as [number, number, number, number];
  const moved = new Float32Array(data.length);
  const area = height * width;
  for (let o = 0; o < out; o++) {
    for (let i = 0; i < inner; i++) {
      for (let at = 0; at < area; at++)
        moved[form === 'filter' ? (at * inner + i) * out + o : (at * out + o) * inner + i] =
          data[(o * inner + i) * area + at]!;
    }
  }
  return tf.tensor(
    moved,
    FILTERS[form].map((axis) => shape[axis]!),
    'float32',
  );
}

/** Computes the first output of a node. */
export type Operator = (s: Site) => Operand;
