// The intermediate representation: a directed acyclic graph of ONNX operators over typed, shaped values, built in
// topological order. It does not depend on TF.js, protocol buffers or ONNX Runtime.

export type Dtype = 'float32' | 'int32' | 'int64' | 'bool' | 'uint8' | 'int8';

export type Data = Float32Array | Int32Array | BigInt64Array | Uint8Array | Int8Array;

/** An attribute: integers are plain numbers, floating-point numbers are wrapped, strings are plain. */
export type Attribute = number | number[] | string | { float: number };

/** One edge of the graph. */
export interface Value {
  readonly id: number;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** The node that computes it; absent for inputs and constants. */
  node?: Node;
  /** Set for constants. */
  data?: Data;
  /** Set for inputs. */
  name?: string;
}

/** One operator. */
export interface Node {
  readonly op: string;
  /** Empty for standard ONNX; `com.microsoft` and `com.microsoft.nchwc` for ONNX Runtime's own operators. */
  readonly domain: string;
  inputs: (Value | null)[];
  outputs: Value[];
  readonly attributes: Record<string, Attribute>;
}

/** A finished graph, ready to be serialized, printed or run. */
export interface Graph {
  readonly name: string;
  inputs: Value[];
  /** Output names and the values they carry. */
  outputs: { name: string; value: Value }[];
  /** Nodes in topological order. Every node is needed by an output. */
  nodes: Node[];
}

export interface Result {
  dtype: Dtype;
  shape: readonly number[];
}

/** Collects nodes while a function is traced. Equal constants and equal nodes are shared. */
export class GraphBuilder {
  private readonly shared = new Map<string, Value>();

  /** @param nextId The first id to assign. Values that end up in the same graph must not share ids. */
  constructor(private nextId = 0) {}

  /** @param dtype Element type of the tensor fed at each call. */
  input(name: string, dtype: Dtype, shape: readonly number[]): Value {
    return { id: this.nextId++, dtype, shape: [...shape], name };
  }

  /** Adds a value that is known while tracing. Equal small constants are shared. */
  constant(dtype: Dtype, shape: readonly number[], data: Data): Value {
    const make = (): Value => ({ id: this.nextId++, dtype, shape: [...shape], data });
    if (data.length > 64) return make();
    return this.share(
      `${dtype}[${shape.join()}]${Array.from(data as ArrayLike<unknown>, (v) => (Object.is(v, -0) ? '-0' : String(v))).join()}`,
      make,
    );
  }

  scalar(value: number, dtype: 'float32' | 'int32' | 'bool' = 'float32'): Value {
    const data =
      dtype === 'float32' ? Float32Array.of(value) : dtype === 'int32' ? Int32Array.of(value) : Uint8Array.of(value);
    return this.constant(dtype, [], data);
  }

  /** Adds a 1-D int64 constant, the form in which ONNX takes shapes, axes and bounds. */
  ints(values: readonly number[]): Value {
    return this.constant(
      'int64',
      [values.length],
      BigInt64Array.from(values, (v) => BigInt(v)),
    );
  }

  /** Adds a node with one output, or returns the output of an equal node if there is one. */
  op(
    op: string,
    inputs: (Value | null)[],
    result: Result,
    attributes: Record<string, Attribute> = {},
    domain = '',
  ): Value {
    const key = `${domain}.${op}(${inputs.map((v) => v?.id ?? '-').join()})${JSON.stringify(attributes)}${result.dtype}[${result.shape.join()}]`;
    return this.share(key, () => this.multi(op, inputs, [result], attributes, domain)[0]);
  }

  /** Adds a node with several outputs. */
  multi<const R extends readonly Result[]>(
    op: string,
    inputs: (Value | null)[],
    results: R,
    attributes: Record<string, Attribute> = {},
    domain = '',
  ): { -readonly [K in keyof R]: Value } {
    const node: Node = { op, domain, inputs, outputs: [], attributes };
    node.outputs = results.map(({ dtype, shape }) => ({ id: this.nextId++, dtype, shape: [...shape], node }));
    return node.outputs as { -readonly [K in keyof R]: Value };
  }

  private share(key: string, make: () => Value): Value {
    const found = this.shared.get(key);
    if (found) return found;
    const made = make();
    this.shared.set(key, made);
    return made;
  }
}

/**
 * Returns the nodes that `roots` depend on, in topological order. Iterative, because traces of training steps are
 * thousands of nodes deep.
 */
export function reachable(roots: readonly Value[]): Node[] {
  const order: Node[] = [];
  const state = new Map<Node, 'open' | 'done'>();
  const stack: Node[] = [];
  for (const root of roots) if (root.node) stack.push(root.node);
  stack.reverse();
  while (stack.length > 0) {
    const node = stack[stack.length - 1]!;
    if (state.get(node) === 'done') {
      stack.pop();
      continue;
    }
    if (state.get(node) === 'open') {
      state.set(node, 'done');
      order.push(node);
      stack.pop();
      continue;
    }
    state.set(node, 'open');
    for (let i = node.inputs.length - 1; i >= 0; i--) {
      const before = node.inputs[i]?.node;
      if (before && !state.has(before)) stack.push(before);
    }
  }
  return order;
}

const SHORT: Record<Dtype, string> = {
  float32: 'f32',
  int32: 'i32',
  int64: 'i64',
  bool: 'bool',
  uint8: 'u8',
  int8: 'i8',
};

const typeText = (value: Value): string => `${SHORT[value.dtype]}[${value.shape.join(',')}]`;

const attributeText = (attribute: Attribute): string =>
  typeof attribute === 'object' && 'float' in attribute ? `${attribute.float}f` : JSON.stringify(attribute);

/**
 * Prints the graph as text, one node per line, with values numbered in order of appearance. The text is stable between
 * runs, so that tests can compare it.
 */
export function printGraph(graph: Graph): string {
  const names = new Map<Value, string>();
  for (const input of graph.inputs) names.set(input, `%${input.name}`);
  const nameOf = (value: Value | null): string => {
    if (!value) return '_';
    if (value.data)
      return value.data.length <= 8
        ? `${typeText(value)}{${Array.from(value.data, String).join(',')}}`
        : `${typeText(value)}{...}`;
    let name = names.get(value);
    if (name === undefined) names.set(value, (name = `%${names.size - graph.inputs.length}`));
    return name;
  };
  const lines = graph.nodes.map((node) => {
    const inputs = node.inputs.map(nameOf).join(', ');
    const attributes = Object.entries(node.attributes).map(([key, value]) => `${key}=${attributeText(value)}`);
    const outputs = node.outputs.map((output) => `${nameOf(output)}: ${typeText(output)}`).join(', ');
    const op = node.domain ? `${node.domain}.${node.op}` : node.op;
    return `  ${outputs} = ${op}(${inputs})${attributes.length > 0 ? ` {${attributes.join(', ')}}` : ''}`;
  });
  const inputs = graph.inputs.map((input) => `${nameOf(input)}: ${typeText(input)}`).join(', ');
  const outputs = graph.outputs.map(({ name, value }) => `${name} = ${nameOf(value)}`).join(', ');
  return [`graph ${graph.name}(${inputs}) {`, ...lines, `  return ${outputs}`, '}'].join('\n');
}
