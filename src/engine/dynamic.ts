// Determines how the shapes in a graph depend on the open extents: traces the function at several sizes and compares
// the graphs, which may differ only in integers that are polynomials of the sizes.
import { EngineError } from '../errors.js';
import { GraphBuilder } from './graph.js';
import type { Graph, Node, Value } from './graph.js';

/** An open extent: its name in the file, and the input and axis that it is read from. */
export interface OpenExtent {
  name: string;
  input: Value;
  axis: number;
}

/** The sizes of the open extents in one trace. */
export type Sizes = readonly number[];

/** A graph traced at particular sizes. */
export interface Sample {
  sizes: Sizes;
  graph: Graph;
}

/** (sum of coefficient * product of the sizes in a subset) / divisor. Subsets are bit masks over the open extents. */
interface Polynomial {
  coefficients: Map<number, number>;
  divisor: number;
}

/** Thrown when the traces differ in more than integers. The caller may try other sizes before giving up. */
export class TopologyError extends EngineError {}

/**
 * Rewrites `samples[0].graph` in place so that it is valid for every size: constants that vary with the sizes are
 * computed from the shapes of the inputs.
 *
 * @param samples One trace for each combination of two sizes (the index is a bit mask), followed by one more for
 *   verification.
 * @throws {TopologyError} E_EXPORT_DYNAMIC when the graphs differ in structure.
 */
export function generalize(samples: readonly Sample[], extents: readonly OpenExtent[]): void {
  const [first] = samples as [Sample];
  requireAlike(samples);
  const shapes = new ShapeArithmetic(extents);
  first.graph.nodes.forEach((node, at) => {
    node.inputs.forEach((input, k) => {
      if (!input?.data) return;
      const constants = samples.map(({ graph }) => graph.nodes[at]!.inputs[k]!);
      if (constants.every((constant) => sameData(constant, input))) return;
      node.inputs[k] = varying(node, k, constants, samples, shapes);
    });
  });
}

/**
 * Names the open axes of a value, given its shape in every sample. An axis that equals an open extent gets that
 * extent's name.
 */
export function openAxes(
  shapes: readonly (readonly number[])[],
  samples: readonly Sample[],
  extents: readonly OpenExtent[],
  name: string,
): Record<number, string> {
  const axes: Record<number, string> = {};
  shapes[0]!.forEach((_, axis) => {
    const seen = shapes.map((shape) => shape[axis]!);
    if (seen.every((extent) => extent === seen[0])) return;
    const same = extents.findIndex((_, k) => samples.every(({ sizes }, i) => sizes[k] === seen[i]));
    axes[axis] = same >= 0 ? extents[same]!.name : `${name}_${axis}`;
  });
  return axes;
}

const sameData = (a: Value, b: Value): boolean =>
  a.dtype === b.dtype &&
  a.shape.join() === b.shape.join() &&
  a.data!.length === b.data!.length &&
  a.data!.every((value: number | bigint, i: number) => Object.is(value, b.data![i]));

function requireAlike(samples: readonly Sample[]): void {
  const [{ graph: first }] = samples as [Sample];
  for (const { graph } of samples.slice(1)) {
    const index = positions(graph);
    const firstIndex = positions(first);
    if (graph.nodes.length !== first.nodes.length)
      throw unlike(`${first.nodes.length} and ${graph.nodes.length} operators`);
    graph.nodes.forEach((node, at) => {
      const twin = first.nodes[at]!;
      if (node.op !== twin.op || node.domain !== twin.domain)
        throw unlike(`${twin.op} and ${node.op} at the same position`);
      if (JSON.stringify(node.attributes) !== JSON.stringify(twin.attributes)) {
        throw unlike(
          `${node.op} with attributes ${JSON.stringify(twin.attributes)} and ${JSON.stringify(node.attributes)}`,
        );
      }
      if (wiring(node, index) !== wiring(twin, firstIndex)) throw unlike(`${node.op} with different operands`);
    });
  }
}

/** Describes what feeds a node, by position in the graph. */
const wiring = (node: Node, index: Map<Value, string>): string =>
  node.inputs.map((value) => (!value ? '-' : value.data ? 'constant' : index.get(value))).join();

/** Maps every input and computed value to its position in the graph. */
function positions(graph: Graph): Map<Value, string> {
  const index = new Map<Value, string>(graph.inputs.map((value) => [value, value.name!]));
  graph.nodes.forEach((node, at) => node.outputs.forEach((value, k) => index.set(value, `${at}.${k}`)));
  return index;
}

function unlike(found: string): TopologyError {
  return new TopologyError(
    'E_EXPORT_DYNAMIC',
    `exportOnnx: expected the same graph for every size of the dynamic axes, received ${found}. Fix that axis, or remove the branch that depends on it.`,
  );
}

/** Builds a value that replaces the constant `node.inputs[k]`, whose integers vary with the sizes. */
function varying(
  node: Node,
  k: number,
  constants: readonly Value[],
  samples: readonly Sample[],
  shapes: ShapeArithmetic,
): Value {
  const [first] = constants as [Value];
  const length = first.data!.length;
  if (first.dtype !== 'int64' || constants.some(({ data }) => data!.length !== length)) {
    throw new EngineError(
      'E_EXPORT_DYNAMIC',
      `exportOnnx: expected constants that do not depend on the dynamic axes, received one of ${first.dtype} [${first.shape.join(', ')}] that does, in ${node.op}. Compute it from the inputs, or fix that axis.`,
    );
  }
  const entries = Array.from({ length }, (_, i) => constants.map(({ data }) => Number((data as BigInt64Array)[i])));
  const vary = entries.filter((entry) => entry.some((value) => value !== entry[0]));
  const fixed = entries.filter((entry) => entry.every((value) => value === entry[0]));
  if (node.op === 'Reshape' && k === 1 && vary.length === 1 && fixed.every(([value]) => value! > 0)) {
    return shapes.builder.ints(entries.map((entry) => (vary.includes(entry) ? -1 : entry[0]!)));
  }
  return shapes.vector(entries.map((entry) => fit(node.op, entry, samples)));
}

/** Fits a polynomial to the values at all combinations of two sizes and checks it against the last sample. */
function fit(op: string, values: readonly number[], samples: readonly Sample[]): Polynomial {
  const low = samples[0]!.sizes;
  const combinations = samples.length - 1;
  const high = samples[combinations - 1]!.sizes;
  const divisor = low.reduce((product, size, k) => product * (high[k]! - size), 1);
  const coefficients = new Map<number, number>();
  for (let subset = 0; subset < combinations; subset++) {
    // Newton's divided difference over this subset, scaled to the common divisor and expanded into powers of the sizes.
    let difference = 0;
    for (let part = 0; part < combinations; part++)
      if ((part & subset) === part) difference += (popCount(subset ^ part) % 2 ? -1 : 1) * values[part]!;
    let scale = divisor;
    low.forEach((size, k) => {
      if (subset & (1 << k)) scale /= high[k]! - size;
    });
    for (let power = 0; power < combinations; power++) {
      if ((power & subset) !== power) continue;
      let offset = 1;
      low.forEach((size, k) => {
        if ((subset ^ power) & (1 << k)) offset *= -size;
      });
      coefficients.set(power, (coefficients.get(power) ?? 0) + difference * scale * offset);
    }
  }
  const polynomial = reduced({ coefficients, divisor });
  const { sizes } = samples[combinations]!;
  if (evaluate(polynomial, sizes) !== values[combinations]) {
    throw new EngineError(
      'E_EXPORT_DYNAMIC',
      `exportOnnx: expected shapes that are products and sums of the dynamic axes, received ${values.join(', ')} at sizes ${samples.map((sample) => sample.sizes.join('x')).join(', ')} in ${op}. Fix that axis.`,
    );
  }
  return polynomial;
}

function evaluate({ coefficients, divisor }: Polynomial, sizes: Sizes): number {
  let total = 0;
  for (const [subset, coefficient] of coefficients)
    total += sizes.reduce((product, size, k) => (subset & (1 << k) ? product * size : product), coefficient);
  return total / divisor;
}

function reduced({ coefficients, divisor }: Polynomial): Polynomial {
  const common = [...coefficients.values()].reduce((a, b) => gcd(a, Math.abs(b)), divisor);
  const entries = [...coefficients]
    .filter(([, value]) => value !== 0)
    .map(([subset, value]): [number, number] => [subset, value / common]);
  return { coefficients: new Map(entries), divisor: divisor / common };
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

function popCount(bits: number): number {
  let count = 0;
  for (let rest = bits; rest > 0; rest &= rest - 1) count++;
  return count;
}

/** Computes int64 shape entries in the graph. Identical computations are shared. */
class ShapeArithmetic {
  /** Numbers its values from FIRST_ID, because value ids must not collide with those of the graph, which start at 0. */
  readonly builder = new GraphBuilder(FIRST_ID);

  constructor(private readonly extents: readonly OpenExtent[]) {}

  /** int64 [entries.length]. */
  vector(entries: readonly Polynomial[]): Value {
    const parts = entries.map((entry) => this.entry(entry));
    return parts.length === 1
      ? parts[0]!
      : this.builder.op('Concat', parts, { dtype: 'int64', shape: [parts.length] }, { axis: 0 });
  }

  private entry({ coefficients, divisor }: Polynomial): Value {
    const terms = [...coefficients].map(([subset, coefficient]) => {
      const factors = this.extents.filter((_, k) => subset & (1 << k)).map((extent) => this.extent(extent));
      if (factors.length === 0 || coefficient !== 1) factors.push(this.builder.ints([coefficient]));
      return factors.reduce((a, b) => this.binary('Mul', a, b));
    });
    const total = terms.length === 0 ? this.builder.ints([0]) : terms.reduce((a, b) => this.binary('Add', a, b));
    return divisor === 1 ? total : this.binary('Div', total, this.builder.ints([divisor]));
  }

  private extent({ input, axis }: OpenExtent): Value {
    const shape = this.builder.op('Shape', [input], { dtype: 'int64', shape: [input.shape.length] });
    return this.builder.op('Gather', [shape, this.builder.ints([axis])], { dtype: 'int64', shape: [1] }, { axis: 0 });
  }

  private binary(op: string, a: Value, b: Value): Value {
    return this.builder.op(op, [a, b], { dtype: 'int64', shape: [1] });
  }
}

const FIRST_ID = 1_000_000;
