import { describe, expect, it } from 'vitest';
import { GraphBuilder, printGraph, reachable } from '../../src/engine/graph.js';
import type { Value } from '../../src/engine/graph.js';
import { encodeModel } from '../../src/engine/onnx.js';

const scalar = { dtype: 'float32', shape: [] } as const;

describe('a graph under construction', () => {
  it('shares equal nodes and equal small constants, but tells 0 from -0 and dtypes apart', () => {
    const g = new GraphBuilder();
    const x = g.input('x', 'float32', []);
    expect(g.op('Sin', [x], scalar)).toBe(g.op('Sin', [x], scalar));
    expect(g.op('Elu', [x], scalar, { alpha: { float: 1 } })).not.toBe(
      g.op('Elu', [x], scalar, { alpha: { float: 2 } }),
    );
    expect(g.scalar(1)).toBe(g.scalar(1));
    expect(g.scalar(0)).not.toBe(g.scalar(-0));
    expect(g.scalar(1)).not.toBe(g.scalar(1, 'int32'));
    expect(g.ints([1, 2])).not.toBe(g.constant('int64', [2, 1], BigInt64Array.of(1n, 2n)));
  });

  it('orders what is needed and nothing else, 100,000 deep', () => {
    const g = new GraphBuilder();
    const x = g.input('x', 'float32', []);
    let y: Value = x;
    for (let i = 0; i < 100_000; i++) y = g.op('Neg', [y], scalar);
    g.op('Sin', [x], scalar);
    const nodes = reachable([y]);
    expect(nodes.length).toBe(100_000);
    expect(nodes.every((node, i) => node.inputs[0] === (i === 0 ? x : nodes[i - 1]!.outputs[0]))).toBe(true);
  });

  it('orders shared work once, before all its readers', () => {
    const g = new GraphBuilder();
    const x = g.input('x', 'float32', []);
    const shared = g.op('Sin', [x], scalar);
    const left = g.op('Exp', [shared], scalar);
    const right = g.op('Neg', [shared], scalar);
    const both = g.op('Add', [right, left], scalar);
    const nodes = reachable([both, left, both]).map(({ op }) => op);
    expect(nodes.toSorted()).toEqual(['Add', 'Exp', 'Neg', 'Sin']);
    expect(nodes.indexOf('Sin')).toBeLessThan(Math.min(nodes.indexOf('Exp'), nodes.indexOf('Neg')));
    expect(nodes.at(-1)).toBe('Add');
  });
});

describe('printGraph', () => {
  it('shows domains, attributes, missing inputs and long constants shortly', () => {
    const g = new GraphBuilder();
    const x = g.input('x', 'float32', [2]);
    const long = g.constant('float32', [9], new Float32Array(9));
    const y = g.op(
      'Special',
      [x, null, long, g.ints([3])],
      { dtype: 'int32', shape: [2] },
      { axis: -1, alpha: { float: 0.5 }, mode: 'edge', pads: [0, 1] },
      'com.microsoft',
    );
    expect(printGraph({ name: 'f', inputs: [x], outputs: [{ name: 'y', value: y }], nodes: reachable([y]) }))
      .toMatchInlineSnapshot(`
      "graph f(%x: f32[2]) {
        %0: i32[2] = com.microsoft.Special(%x, _, f32[9]{...}, i64[1]{3}) {axis=-1, alpha=0.5f, mode="edge", pads=[0,1]}
        return y = %0
      }"
    `);
  });
});

/** Fields of one protobuf message: [number, value], bytes as they are. */
function fields(bytes: Uint8Array): [number, bigint | Uint8Array][] {
  const out: [number, bigint | Uint8Array][] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    if ((tag & 7) === 0) out.push([tag >> 3, varint()]);
    else if ((tag & 7) === 2) {
      const length = Number(varint());
      out.push([tag >> 3, bytes.subarray(at, (at += length))]);
    } else out.push([tag >> 3, bytes.subarray(at, (at += 4))]);
  }
  return out;
}

const text = (value: bigint | Uint8Array | undefined): string => new TextDecoder().decode(value as Uint8Array);

describe('encodeModel', () => {
  it('writes version, producer, operator sets and the graph where onnx.proto has them', () => {
    const g = new GraphBuilder();
    const x = g.input('x', 'float32', [2]);
    const y = g.op('FusedMatMul', [x, x], { dtype: 'float32', shape: [] }, { transA: -1 }, 'com.microsoft');
    const model = fields(
      encodeModel(
        { name: 'f', inputs: [x], outputs: [{ name: 'y', value: y }], nodes: [y.node!] },
        { documentation: 'é' },
      ),
    );
    expect(model.find(([field]) => field === 1)![1]).toBe(10n);
    expect(text(model.find(([field]) => field === 2)![1])).toBe('tesserae');
    expect(text(model.find(([field]) => field === 6)![1])).toBe('é');
    const opsets = model
      .filter(([field]) => field === 8)
      .map(([, value]) =>
        fields(value as Uint8Array).map(([, entry]) => (typeof entry === 'bigint' ? entry : text(entry))),
      );
    expect(opsets).toEqual([
      ['', 21n],
      ['com.microsoft', 1n],
    ]);
    const graph = fields(model.find(([field]) => field === 7)![1] as Uint8Array);
    const node = fields(graph.find(([field]) => field === 1)![1] as Uint8Array);
    expect(node.filter(([field]) => field !== 5).map(([field, value]) => [field, text(value)])).toEqual([
      [1, 'x'],
      [1, 'x'],
      [2, 'y'],
      [3, 'FusedMatMul_y'],
      [4, 'FusedMatMul'],
      [7, 'com.microsoft'],
    ]);
    // Negative integers are ten-byte varints in two's complement.
    const attribute = fields(node.find(([field]) => field === 5)![1] as Uint8Array);
    expect(BigInt.asIntN(64, attribute.find(([field]) => field === 3)![1] as bigint)).toBe(-1n);
  });
});
