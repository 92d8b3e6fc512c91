// Writes a Graph as an ONNX model (protocol buffers, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
import type { Attribute, Dtype, Graph, Node, Value } from './graph.js';

const OPSET = 21;
const IR_VERSION = 10;
const DTYPE: Record<Dtype, number> = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9 };

/** A growing protobuf message. */
class Message {
  private readonly chunks: Uint8Array[] = [];
  private length = 0;

  varint(field: number, value: number | bigint): this {
    this.push(encodeVarint((BigInt(field) << 3n) | 0n));
    return this.push(encodeVarint(BigInt.asUintN(64, BigInt(value))));
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.push(encodeVarint((BigInt(field) << 3n) | 5n));
    return this.push(bytes);
  }

  bytes(field: number, value: Uint8Array | Message | string): this {
    const body =
      typeof value === 'string' ? new TextEncoder().encode(value) : value instanceof Message ? value.finish() : value;
    this.push(encodeVarint((BigInt(field) << 3n) | 2n));
    this.push(encodeVarint(BigInt(body.length)));
    return this.push(body);
  }

  finish(): Uint8Array {
    const out = new Uint8Array(this.length);
    let at = 0;
    for (const chunk of this.chunks) {
      out.set(chunk, at);
      at += chunk.length;
    }
    return out;
  }

  private push(chunk: Uint8Array): this {
    this.chunks.push(chunk);
    this.length += chunk.length;
    return this;
  }
}

function encodeVarint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

/** Names of open dimensions, by value: `{ x: { 0: 'batch' } }`. */
export type DynamicAxes = Record<string, Record<number, string>>;

/**
 * Encodes a graph.
 *
 * @returns The bytes of a ModelProto: opset 21, plus ONNX Runtime's own domains if the graph uses them.
 */
export function encodeModel(
  graph: Graph,
  options: { dynamicAxes?: DynamicAxes; documentation?: string } = {},
): Uint8Array {
  const names = nameValues(graph);
  const body = new Message();
  for (const node of graph.nodes) body.bytes(1, encodeNode(node, names));
  body.bytes(2, graph.name);
  for (const [value, name] of names) if (value.data) body.bytes(5, encodeTensor(value, name));
  const typeOf = (name: string, value: Value): Message => encodeValueInfo(name, value, options.dynamicAxes?.[name]);
  for (const input of graph.inputs) body.bytes(11, typeOf(names.get(input)!, input));
  for (const output of graph.outputs) body.bytes(12, typeOf(output.name, output.value));

  const model = new Message()
    .varint(1, IR_VERSION)
    .bytes(2, 'tesserae')
    .bytes(7, body)
    .bytes(8, new Message().bytes(1, '').varint(2, OPSET));
  if (options.documentation) model.bytes(6, options.documentation);
  for (const domain of new Set(graph.nodes.map((node) => node.domain))) {
    if (domain !== '') model.bytes(8, new Message().bytes(1, domain).varint(2, 1));
  }
  return model.finish();
}

/**
 * Names every value. A value that is an output takes the output's name. If one value has two output names, the caller
 * must add an Identity.
 */
function nameValues(graph: Graph): Map<Value, string> {
  const names = new Map<Value, string>();
  for (const input of graph.inputs) names.set(input, input.name!);
  for (const { name, value } of graph.outputs) names.set(value, name);
  const taken = new Set(names.values());
  const nameOf = (value: Value): void => {
    if (names.has(value)) return;
    // Frozen variables keep their names.
    let name = value.data ? (value.name ?? `c${value.id}`) : `v${value.id}`;
    while (taken.has(name)) name = `_${name}`;
    taken.add(name);
    names.set(value, name);
  };
  for (const node of graph.nodes) {
    for (const value of node.inputs) if (value) nameOf(value);
    node.outputs.forEach(nameOf);
  }
  return names;
}

function encodeNode(node: Node, names: Map<Value, string>): Message {
  const message = new Message();
  for (const value of node.inputs) message.bytes(1, value ? names.get(value)! : '');
  for (const value of node.outputs) message.bytes(2, names.get(value)!);
  message.bytes(3, `${node.op}_${names.get(node.outputs[0]!)}`).bytes(4, node.op);
  for (const [name, attribute] of Object.entries(node.attributes)) message.bytes(5, encodeAttribute(name, attribute));
  if (node.domain) message.bytes(7, node.domain);
  return message;
}

function encodeAttribute(name: string, attribute: Attribute): Message {
  const message = new Message().bytes(1, name);
  if (typeof attribute === 'number') return message.varint(3, attribute).varint(20, 2);
  if (typeof attribute === 'string') return message.bytes(4, attribute).varint(20, 3);
  if (Array.isArray(attribute)) {
    for (const item of attribute) message.varint(8, item);
    return message.varint(20, 7);
  }
  return message.float(2, attribute.float).varint(20, 1);
}

function encodeTensor(value: Value, name: string): Message {
  const data = value.data!;
  const message = new Message();
  for (const dim of value.shape) message.varint(1, dim);
  return message
    .varint(2, DTYPE[value.dtype])
    .bytes(8, name)
    .bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

function encodeValueInfo(name: string, value: Value, dynamic: Record<number, string> = {}): Message {
  const shape = new Message();
  value.shape.forEach((dim, axis) => {
    const open = dynamic[axis];
    shape.bytes(1, open === undefined ? new Message().varint(1, dim) : new Message().bytes(2, open));
  });
  const tensor = new Message().varint(1, DTYPE[value.dtype]).bytes(2, shape);
  return new Message().bytes(1, name).bytes(2, new Message().bytes(1, tensor));
}
