// Reads the parts of an ONNX model (protocol buffers, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto) that
// define its computation: nodes, weights, inputs and outputs. The input is not trusted: every length is checked against
// the bytes that remain.
import { CorruptError, EngineError, InputError } from '../errors.js';
import { excerpt } from '../names.js';
import { sizeOf } from '../shape.js';

/** A constant of the file. Integers of all widths become int32. */
export interface OnnxTensor {
  dtype: 'float32' | 'int32';
  shape: number[];
  data: Float32Array | Int32Array;
}

export type OnnxAttribute = number | string | number[] | OnnxTensor;

export interface OnnxNode {
  op: string;
  /** The node's own name, or that of its first output. */
  name: string;
  domain: string;
  /** Names of values; empty for omitted optional inputs. */
  inputs: string[];
  outputs: string[];
  attributes: Record<string, OnnxAttribute>;
}

export interface OnnxModel {
  /** Version of the standard operators. */
  opset: number;
  /** Nodes in topological order. */
  nodes: OnnxNode[];
  weights: Map<string, OnnxTensor>;
  /** Inputs that are not weights. Open extents are undefined. */
  inputs: { name: string; shape: (number | undefined)[] }[];
  outputs: string[];
}

/**
 * Reads an ONNX model.
 *
 * @param where Name of the file, for errors.
 * @throws {CorruptError} E_ONNX_FILE naming the byte.
 * @throws {EngineError} E_IMPORT_TENSOR for weights of an unsupported dtype, or stored in another file.
 */
export function readOnnx(bytes: Uint8Array, where: string): OnnxModel {
  const model: OnnxModel = { opset: 0, nodes: [], weights: new Map(), inputs: [], outputs: [] };
  let graphs = 0;
  for (const { field, message } of fieldsOf(new Cursor(bytes, 0, bytes.length, where))) {
    if (field === 7) {
      graphs++;
      readGraph(message(), model);
    } else if (field === 8) readOpset(message(), model);
  }
  if (graphs !== 1 || model.opset === 0)
    throw new CorruptError(
      'E_ONNX_FILE',
      `${where}: expected an ONNX model with one graph, found ${graphs}. Name the .onnx file itself.`,
    );
  model.inputs = model.inputs.filter(({ name }) => !model.weights.has(name));
  return model;
}

/** Maximum depth of nested graphs. */
const MAX_NESTING = 16;
const LOOPS: readonly string[] = ['Loop', 'Scan', 'SequenceMap'];

/**
 * Rejects networks with loops. Image networks do not need them, and it cannot be decided whether a loop terminates.
 *
 * @throws {InputError} E_ONNX_LOOP naming the node.
 * @throws {CorruptError} E_ONNX_FILE naming the byte.
 */
export function refuseLoops(bytes: Uint8Array, where: string): void {
  for (const { field, message } of fieldsOf(new Cursor(bytes, 0, bytes.length, where))) {
    if (field === 7) refuseLoopsIn(message(), 1, 0);
    // Functions defined in the file store their nodes in another field.
    else if (field === 25) refuseLoopsIn(message(), 7, 0);
  }
}

/** @param nodes Number of the field that holds the nodes. */
function refuseLoopsIn(cursor: Cursor, nodes: number, depth: number): void {
  if (depth > MAX_NESTING) cursor.fail(`graphs nested at most ${MAX_NESTING} times`);
  for (const { field, message } of fieldsOf(cursor)) {
    if (field !== nodes) continue;
    for (const { field: part, text, message: attribute } of fieldsOf(message())) {
      if (part === 4 && LOOPS.includes(text()))
        throw new InputError(
          'E_ONNX_LOOP',
          `${cursor.where}: expected a network without loops, found the operator ${text()}. Export the network without it.`,
        );
      if (part !== 5) continue;
      for (const inner of fieldsOf(attribute()))
        if (inner.field === 6 || inner.field === 11) refuseLoopsIn(inner.message(), 1, depth + 1);
    }
  }
}

/** A message within the file and the current reading position. */
class Cursor {
  private readonly view: DataView;

  constructor(
    readonly bytes: Uint8Array,
    public at: number,
    readonly end: number,
    readonly where: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = BigInt(this.bytes[this.take(1)]!);
      value |= (byte & 0x7fn) << shift;
      if (byte < 0x80n) return BigInt.asIntN(64, value);
    }
    return this.fail('a number of at most 10 bytes');
  }

  /** Reads the length of the data that follows. */
  length(): number {
    const length = this.varint();
    if (length < 0n || length > BigInt(this.end - this.at))
      this.fail(`a length of at most ${this.end - this.at} bytes`);
    return Number(length);
  }

  float(): number {
    return this.view.getFloat32(this.take(4), true);
  }

  double(): number {
    return this.view.getFloat64(this.take(8), true);
  }

  /** Skips `count` bytes. @returns the position where they start. */
  take(count: number): number {
    if (count > this.end - this.at) this.fail(`${count} more bytes`);
    const start = this.at;
    this.at += count;
    return start;
  }

  /** @throws {CorruptError} */
  fail(expected: string): never {
    throw new CorruptError(
      'E_ONNX_FILE',
      `${this.where}, byte ${this.at}: expected ${expected}, found something else. The file is damaged or is not an ONNX model.`,
    );
  }
}

/** One field of a message. Its value is read by the method for its type, or skipped. */
interface Field {
  field: number;
  integer(): number;
  float(): number;
  text(): string;
  message(): Cursor;
  /** Reads repeated numbers, whether packed or not. */
  numbers(read: (cursor: Cursor) => number): number[];
}

const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

function* fieldsOf(cursor: Cursor): Generator<Field> {
  while (cursor.at < cursor.end) {
    const tag = Number(cursor.varint());
    const wire = tag & 7;
    const from = cursor.at;
    const body = bodyOf(cursor, wire);
    const only = (kind: number, what: string): Cursor => {
      if (wire !== kind) new Cursor(cursor.bytes, from, cursor.end, cursor.where).fail(what);
      return new Cursor(body.bytes, body.at, body.end, body.where);
    };
    yield {
      field: tag >>> 3,
      integer: () => Number(only(WIRE.varint, 'a whole number').varint()),
      float: () => only(WIRE.fixed32, 'a number').float(),
      text: () => {
        const { bytes, at, end } = only(WIRE.bytes, 'text');
        return new TextDecoder().decode(bytes.subarray(at, end));
      },
      message: () => only(WIRE.bytes, 'a message'),
      numbers: (read) => {
        const packed = only(wire, 'numbers');
        const values: number[] = [];
        while (packed.at < packed.end) values.push(read(packed));
        return values;
      },
    };
  }
}

/** Returns the bytes of a field's value and moves the cursor past them. */
function bodyOf(cursor: Cursor, wire: number): Cursor {
  const start = cursor.at;
  const within = (from: number): Cursor => new Cursor(cursor.bytes, from, cursor.at, cursor.where);
  if (wire === WIRE.varint) cursor.varint();
  else if (wire === WIRE.fixed64) cursor.take(8);
  else if (wire === WIRE.fixed32) cursor.take(4);
  else if (wire === WIRE.bytes) return within(cursor.take(cursor.length()));
  else cursor.fail('a field of a known kind');
  return within(start);
}

const integerOf = (cursor: Cursor): number => Number(cursor.varint());

function readOpset(cursor: Cursor, model: OnnxModel): void {
  let domain = '';
  let version = 0;
  for (const { field, text, integer } of fieldsOf(cursor)) {
    if (field === 1) domain = text();
    else if (field === 2) version = integer();
  }
  if (isStandard(domain)) model.opset = version;
}

/** The domain of the standard operators has two names. */
export const isStandard = (domain: string): boolean => domain === '' || domain === 'ai.onnx';

function readGraph(cursor: Cursor, model: OnnxModel): void {
  for (const { field, message } of fieldsOf(cursor)) {
    if (field === 1) model.nodes.push(readNode(message()));
    else if (field === 5) {
      const { name, tensor } = readTensor(message());
      model.weights.set(name, tensor);
    } else if (field === 11) model.inputs.push(readValueInfo(message()));
    else if (field === 12) model.outputs.push(readValueInfo(message()).name);
  }
}

function readNode(cursor: Cursor): OnnxNode {
  const node: OnnxNode = { op: '', name: '', domain: '', inputs: [], outputs: [], attributes: {} };
  for (const { field, text, message } of fieldsOf(cursor)) {
    if (field === 1) node.inputs.push(text());
    else if (field === 2) node.outputs.push(text());
    else if (field === 3) node.name = text();
    else if (field === 4) node.op = text();
    else if (field === 5) {
      const { name, value } = readAttribute(message());
      if (value !== undefined) node.attributes[name] = value;
    } else if (field === 7) node.domain = text();
  }
  node.name ||= node.outputs[0] ?? '';
  return node;
}

function readAttribute(cursor: Cursor): { name: string; value: OnnxAttribute | undefined } {
  let name = '';
  let value: OnnxAttribute | undefined;
  const list: number[] = [];
  let isList = false;
  for (const { field, text, integer, float, message, numbers } of fieldsOf(cursor)) {
    if (field === 1) name = text();
    else if (field === 2) value = float();
    else if (field === 3) value = integer();
    else if (field === 4) value = text();
    else if (field === 5) value = readTensor(message()).tensor;
    else if (field === 7)
      pushAll(
        list,
        numbers((packed) => packed.float()),
      );
    else if (field === 8) pushAll(list, numbers(integerOf));
    // The attribute's type: 6 and 7 are lists, which may be empty.
    else if (field === 20) isList = [6, 7].includes(integer());
  }
  return { name, value: isList || list.length > 0 ? list : value };
}

function readValueInfo(cursor: Cursor): { name: string; shape: (number | undefined)[] } {
  let name = '';
  let shape: (number | undefined)[] = [];
  for (const { field, text, message } of fieldsOf(cursor)) {
    if (field === 1) name = text();
    // TypeProto.tensor_type.shape.dim
    else if (field === 2) shape = within(message(), [1, 2, 1]).map(extentOf);
  }
  return { name, shape };
}

/** Returns the messages at a path of fields. */
function within(cursor: Cursor, [first, ...rest]: number[]): Cursor[] {
  const found: Cursor[] = [];
  for (const { field, message } of fieldsOf(cursor))
    if (field === first) found.push(...(rest.length > 0 ? within(message(), rest) : [message()]));
  return found;
}

function extentOf(cursor: Cursor): number | undefined {
  let extent: number | undefined;
  for (const { field, integer } of fieldsOf(cursor)) if (field === 1) extent = integer();
  return extent;
}

/** Supported tensor data types by ONNX number, with their width in bytes. */
const DTYPES: Record<
  number,
  { dtype: OnnxTensor['dtype']; width: number; read: (view: DataView, at: number) => number }
> = {
  1: { dtype: 'float32', width: 4, read: (view, at) => view.getFloat32(at, true) },
  2: { dtype: 'int32', width: 1, read: (view, at) => view.getUint8(at) },
  6: { dtype: 'int32', width: 4, read: (view, at) => view.getInt32(at, true) },
  7: { dtype: 'int32', width: 8, read: (view, at) => clampedInt(view.getBigInt64(at, true)) },
  9: { dtype: 'int32', width: 1, read: (view, at) => view.getUint8(at) },
  11: { dtype: 'float32', width: 8, read: (view, at) => view.getFloat64(at, true) },
};

/** Bounds such as "to the end" are stored as the largest 64-bit integer, so values are clamped to 32 bits. */
const clampedInt = (value: bigint): number =>
  Number(value < -0x80000000n ? -0x80000000n : value > 0x7fffffffn ? 0x7fffffffn : value);

/** Maximum rank of a tensor; image networks use rank 4. */
const MAX_RANK = 8;

function readTensor(cursor: Cursor): { name: string; tensor: OnnxTensor } {
  const shape: number[] = [];
  const values: number[] = [];
  let name = '';
  let type = 0;
  let raw: Cursor | undefined;
  let external = false;
  for (const { field, text, integer, message, numbers } of fieldsOf(cursor)) {
    if (field === 1) pushAll(shape, numbers(integerOf));
    else if (field === 2) type = integer();
    else if (field === 4)
      pushAll(
        values,
        numbers((packed) => packed.float()),
      );
    else if (field === 5) pushAll(values, numbers(integerOf));
    else if (field === 7)
      pushAll(
        values,
        numbers((packed) => clampedInt(packed.varint())),
      );
    else if (field === 8) name = text();
    else if (field === 9) raw = message();
    else if (field === 10)
      pushAll(
        values,
        numbers((packed) => packed.double()),
      );
    else if (field === 14) external = integer() === 1;
  }
  const kind = DTYPES[type];
  if (!kind || external) {
    const found = external ? 'weights in another file' : `data type ${type}`;
    throw new EngineError(
      'E_IMPORT_TENSOR',
      `${cursor.where}, tensor "${name}": expected float32, float64, int32, int64, uint8 or bool in the file itself, found ${found}. Export the network in float32 and in one file.`,
    );
  }
  if (shape.length > MAX_RANK)
    cursor.fail(`at most ${MAX_RANK} extents of the tensor "${excerpt(name)}", not ${shape.length}`);
  const count = sizeOf(shape);
  const filled = raw ? (raw.end - raw.at) / kind.width : values.length;
  if (shape.some((extent) => extent < 0) || filled !== count)
    cursor.fail(`${count} values for the tensor "${name}" of shape [${shape.join(', ')}], not ${filled}`);
  const data = kind.dtype === 'float32' ? new Float32Array(count) : new Int32Array(count);
  if (raw) {
    const view = new DataView(raw.bytes.buffer, raw.bytes.byteOffset);
    for (let i = 0; i < count; i++) data[i] = kind.read(view, raw.at + i * kind.width);
  } else data.set(values);
  return { name, tensor: { dtype: kind.dtype, shape, data } };
}

/** Appends items one by one: `push(...items)` with a million items would overflow the stack. */
function pushAll(values: number[], items: readonly number[]): void {
  for (const item of items) values.push(item);
}
