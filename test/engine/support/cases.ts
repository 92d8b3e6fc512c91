// Cases for every kernel: odd sizes, scalars, broadcasts, ranks up to 5, empty tensors, int32 and bool where TF.js allows.
import type { Case, Spec } from './conformance.js';

const f = (shape: number[], more: Partial<Spec> = {}): Spec => ({ shape, ...more });
const i = (shape: number[], more: Partial<Spec> = {}): Spec => ({ shape, dtype: 'int32', ...more });
const b = (shape: number[]): Spec => ({ shape, dtype: 'bool' });

const SHAPES = [[], [7], [3, 5], [2, 1, 3], [1, 2, 3, 2], [2, 1, 2, 3, 2], [0, 3]];

const unary = (more: Partial<Spec> = {}): Case[] => SHAPES.map((shape) => ({ inputs: { x: f(shape, more) } }));
const unaryInt = (more: Partial<Spec> = {}): Case[] => [
  { inputs: { x: i([3, 5], more) } },
  { inputs: { x: i([], more) } },
];

const PAIRS: [number[], number[]][] = [
  [[], []],
  [[5], []],
  [[], [3, 2]],
  [[3, 4], [4]],
  [
    [3, 1],
    [1, 4],
  ],
  [
    [2, 3, 4],
    [3, 1],
  ],
  [
    [2, 1, 3, 1],
    [4, 1, 5],
  ],
  [
    [2, 1, 2, 1, 3],
    [2, 1, 1],
  ],
  [
    [0, 3],
    [1, 3],
  ],
];
const binary = (left: Partial<Spec> = {}, right: Partial<Spec> = left): Case[] =>
  PAIRS.map(([a, c]) => ({ inputs: { a: f(a, left), b: f(c, right) } }));
const binaryInt = (left: Partial<Spec> = {}, right: Partial<Spec> = left): Case[] =>
  PAIRS.slice(0, 7).map(([a, c]) => ({ inputs: { a: i(a, left), b: i(c, right) } }));
const comparison = (): Case[] => [
  ...PAIRS.map(([a, c]) => ({ inputs: { a: f(a, { values: [1, 2, 3] }), b: f(c, { values: [2, 1, 3, 2] }) } })),
  ...binaryInt({ from: 0, to: 3 }),
];
const logic = (): Case[] => PAIRS.map(([a, c]) => ({ inputs: { a: b(a), b: b(c) } }));

const x = (spec: Spec, attributes: Record<string, unknown> = {}, gradient = true): Case => ({
  inputs: { x: spec },
  attributes,
  gradient,
});

/** Axes and keepDims over several ranks. TF.js moves reduced axes innermost itself for some kernels; both forms appear. */
const reductions = (key: string, spec: (shape: number[]) => Spec): Case[] => [
  x(spec([7]), { [key]: [0], keepDims: false }),
  x(spec([3, 5]), { [key]: [1], keepDims: false }),
  x(spec([3, 5]), { [key]: [0, 1], keepDims: false }),
  x(spec([2, 3, 4]), { [key]: [2], keepDims: true }),
  x(spec([2, 3, 4]), { [key]: [1, 2], keepDims: false }),
  x(spec([2, 1, 2, 3, 2]), { [key]: [3, 4], keepDims: false }),
  x(spec([]), { [key]: [], keepDims: false }),
];

/** Larger and smaller, square and not, with every way of aligning pixels. */
const resizing = (): Case[] =>
  [
    [false, false],
    [true, false],
    [false, true],
  ].flatMap(([alignCorners, halfPixelCenters]) =>
    [
      [6, 8],
      [2, 3],
      [5, 1],
      [3, 4],
    ].map((size) => ({ inputs: { images: f([2, 3, 4, 2]) }, attributes: { size, alignCorners, halfPixelCenters } })),
  );

export const CASES: Record<string, Case[]> = {
  // Elementwise, one operand.
  Abs: [...unary({ avoid: [0] }), ...unaryInt()],
  Acos: unary({ from: -0.9, to: 0.9 }),
  Acosh: unary({ from: 1.3, to: 4 }),
  Asin: unary({ from: -0.9, to: 0.9 }),
  Asinh: unary(),
  Atan: unary(),
  Atanh: unary({ from: -0.8, to: 0.8 }),
  Ceil: unary({ avoid: [-2, -1, 0, 1, 2] }),
  Cos: unary(),
  Cosh: unary(),
  Elu: unary({ avoid: [0] }),
  Erf: unary(),
  Exp: unary(),
  Floor: unary({ avoid: [-2, -1, 0, 1, 2] }),
  Log: unary({ from: 0.3, to: 4 }),
  Neg: [...unary(), ...unaryInt()],
  Reciprocal: unary({ avoid: [0, 0.1, -0.1, 0.2, -0.2] }),
  Relu: [...unary({ avoid: [0] }), ...unaryInt()],
  Round: [
    ...unary({ avoid: [-1.5, -0.5, 0.5, 1.5] }),
    x(f([6], { values: [-1.5, -0.5, 0.5, 1.5, 2.5, 3.5] }), {}, false),
  ],
  Sigmoid: unary({ from: -6, to: 6 }),
  Sign: [...unary({ avoid: [0] }), ...unaryInt()],
  Sin: unary(),
  Sinh: unary(),
  Softplus: unary({ from: -6, to: 6 }),
  Sqrt: unary({ from: 0.3, to: 4 }),
  Tan: unary({ from: -1, to: 1 }),
  Tanh: unary(),
  Identity: [...unary(), ...unaryInt(), x(b([4]))],
  Expm1: [...unary(), x(f([6], { from: -1e-4, to: 1e-4 }))],
  Log1p: [...unary({ from: -0.6, to: 4 }), x(f([6], { from: -1e-4, to: 1e-4 }))],
  Rsqrt: unary({ from: 0.5, to: 4 }),
  Square: [...unary(), ...unaryInt()],
  Step: SHAPES.flatMap((shape) => [
    x(f(shape, { avoid: [0] }), { alpha: 0 }),
    x(f(shape, { avoid: [0] }), { alpha: 0.3 }),
  ]),
  Relu6: unary({ from: -3, to: 9, avoid: [0, 6] }),
  ClipByValue: SHAPES.map((shape) =>
    x(f(shape, { avoid: [-0.5, 0.7] }), { clipValueMin: -0.5, clipValueMax: 0.7 }),
  ).concat(x(i([3, 5]), { clipValueMin: -2, clipValueMax: 3 })),
  LeakyRelu: SHAPES.map((shape) => x(f(shape, { avoid: [0] }), { alpha: 0.2 })),
  Prelu: [
    { inputs: { x: f([3, 4], { avoid: [0] }), alpha: f([4]) } },
    { inputs: { x: f([2, 3, 4], { avoid: [0] }), alpha: f([1, 1, 4]) } },
  ],
  Selu: unary({ avoid: [0] }),
  IsNan: unary(),
  IsInf: unary(),
  IsFinite: unary(),
  LogicalNot: [x(b([])), x(b([3, 5]))],
  Cast: [
    ...['int32', 'bool', 'float32'].map((dtype) =>
      x(f([3, 5], { from: -3, to: 3, avoid: [-1, 0, 1] }), { dtype }, dtype === 'float32'),
    ),
    ...['int32', 'bool', 'float32'].flatMap((dtype) => [
      x(i([3, 5], { from: -2, to: 3 }), { dtype }),
      x(b([3, 5]), { dtype }),
    ]),
  ],
  ZerosLike: [...unary(), ...unaryInt(), x(b([3]))],
  OnesLike: [...unary(), ...unaryInt(), x(b([3]))],

  // Elementwise, two and more operands.
  Add: [...binary(), ...binaryInt()],
  Sub: [...binary(), ...binaryInt()],
  Multiply: [...binary(), ...binaryInt()],
  RealDiv: binary({}, { from: 0.5, to: 3 }),
  FloorDiv: [...binaryInt({}, { from: 1, to: 5 }), ...binaryInt({}, { from: -5, to: 0 })],
  Mod: [
    ...binary({ from: -3, to: 3, avoid: [-2, 0, 2] }, { from: 1.95, to: 2.05 }),
    ...binaryInt({}, { from: 1, to: 5 }),
    ...binaryInt({}, { from: -5, to: 0 }),
  ],
  Maximum: [
    ...PAIRS.map(([p, q]) => ({
      inputs: { a: f(p, { values: [0.1, 1.3, -0.7] }), b: f(q, { values: [0.5, -1.1, 0.9, -0.3] }) },
    })),
    ...binaryInt(),
  ],
  Minimum: [
    ...PAIRS.map(([p, q]) => ({
      inputs: { a: f(p, { values: [0.1, 1.3, -0.7] }), b: f(q, { values: [0.5, -1.1, 0.9, -0.3] }) },
    })),
    ...binaryInt(),
  ],
  Pow: [...binary({ from: 0.3, to: 2 }, { from: -2, to: 2 }), ...binaryInt({ from: -3, to: 4 }, { from: 0, to: 4 })],
  SquaredDifference: [...binary(), ...binaryInt()],
  Atan2: binary({ avoid: [0] }, { avoid: [0] }),
  AddN: [
    { inputs: [f([3, 5])] },
    { inputs: [f([3, 5]), f([3, 5])] },
    { inputs: [f([]), f([]), f([])] },
    { inputs: [i([4]), i([4])] },
  ],
  Equal: comparison(),
  NotEqual: comparison(),
  Greater: comparison(),
  GreaterEqual: comparison(),
  Less: comparison(),
  LessEqual: comparison(),
  LogicalAnd: logic(),
  LogicalOr: logic(),
  Select: [
    { inputs: { condition: b([3, 5]), t: f([3, 5]), e: f([3, 5]) } },
    { inputs: { condition: b([]), t: f([]), e: f([]) } },
    { inputs: { condition: b([3, 5]), t: i([3, 5]), e: i([3, 5]) } },
    { inputs: { condition: b([3, 5]), t: b([3, 5]), e: b([3, 5]) } },
    { inputs: { condition: b([0, 5]), t: f([0, 5]), e: f([0, 5]) } },
  ],

  // Reductions.
  Sum: [
    ...reductions('axis', (shape) => f(shape)),
    ...reductions('axis', (shape) => i(shape)),
    x(b([3, 4]), { axis: [1], keepDims: false }),
  ],
  Mean: [...reductions('axis', (shape) => f(shape))],
  Prod: [
    ...reductions('axis', (shape) => f(shape, { avoid: [0] })),
    x(f([2, 4], { values: [0, 1.5, 2, -1, 0, 0.5, 0, 3] }), { axis: [1], keepDims: false }),
    ...reductions('axis', (shape) => i(shape, { from: 1, to: 4 })),
  ],
  Max: [
    ...reductions('reductionIndices', (shape) => f(shape, { distinct: true })),
    ...reductions('reductionIndices', (shape) => i(shape)),
  ],
  Min: [...reductions('axis', (shape) => f(shape, { distinct: true })), ...reductions('axis', (shape) => i(shape))],
  All: reductions('axis', (shape) => b(shape)),
  Any: reductions('axis', (shape) => b(shape)),
  ArgMax: [
    x(f([5]), { axis: 0 }),
    x(f([3, 5]), { axis: 1 }),
    x(f([3, 5]), { axis: 0 }),
    x(f([2, 3, 4], { values: [1, 2, 2] }), { axis: 2 }),
    x(i([3, 5], { from: 0, to: 3 }), { axis: 1 }),
  ],
  ArgMin: [
    x(f([5]), { axis: 0 }),
    x(f([3, 5]), { axis: 1 }),
    x(f([3, 5]), { axis: 0 }),
    x(f([2, 3, 4], { values: [2, 1, 1] }), { axis: 2 }),
    x(i([3, 5], { from: 0, to: 3 }), { axis: 1 }),
  ],
  Cumsum: [false, true].flatMap((exclusive) =>
    [false, true].flatMap((reverse) => [
      x(f([5]), { axis: 0, exclusive, reverse }),
      x(f([2, 3, 4]), { axis: 2, exclusive, reverse }),
      x(i([3, 4]), { axis: 1, exclusive, reverse }),
    ]),
  ),
  Softmax: [f([6]), f([3, 5]), f([2, 3, 4]), f([3, 4], { from: -200, to: 200 })].map((spec) => ({
    inputs: { logits: spec },
    attributes: { dim: spec.shape.length - 1 },
    gradient: spec.to === undefined,
  })),
  TopK: [
    x(f([6]), { k: 3, sorted: true }),
    x(f([3, 7]), { k: 1, sorted: true }),
    x(f([2, 3, 5]), { k: 5, sorted: true }),
    x(i([3, 6], { from: 0, to: 4 }), { k: 3, sorted: true }),
  ],
  BatchMatMul: [false, true].flatMap((transposeA) =>
    [false, true].flatMap((transposeB) => {
      const left = transposeA ? [4, 3] : [3, 4];
      const right = transposeB ? [5, 4] : [4, 5];
      const batches: [number[], number[]][] = [
        [[1], [1]],
        [[2], [2]],
        [[1], [3]],
        [[3], [1]],
        [
          [2, 3],
          [2, 3],
        ],
        [[2, 3], []],
        [[2], []],
        [[], [2]],
        [[], []],
      ];
      return batches.map(([p, q]) => ({
        inputs: { a: f([...p, ...left]), b: f([...q, ...right]) },
        attributes: { transposeA, transposeB },
      }));
    }),
  ),
  Einsum: [
    { inputs: [f([3, 4]), f([4, 5])], attributes: { equation: 'ij,jk->ik' } },
    { inputs: [f([2, 3, 4]), f([2, 5, 4])], attributes: { equation: 'bij,bkj->bik' } },
    { inputs: [f([3, 4])], attributes: { equation: 'ij->ji' } },
    { inputs: [f([3, 4])], attributes: { equation: 'ij->j' } },
    { inputs: [f([2, 3, 4]), f([4, 5])], attributes: { equation: 'bij,jk->bik' } },
  ],

  // Moving data.
  Reshape: [
    x(f([3, 4]), { shape: [2, 6] }),
    x(f([3, 4]), { shape: [-1] }),
    x(f([1]), { shape: [] }),
    x(i([2, 3]), { shape: [3, -1] }),
    x(b([4]), { shape: [2, 2] }),
    x(f([0, 3]), { shape: [3, 0] }),
  ],
  ExpandDims: [0, 1, 2, -1].map((dim) => ({ inputs: { input: f([3, 4]) }, attributes: { dim } })),
  Transpose: [
    x(f([3, 4]), { perm: [1, 0] }),
    x(f([2, 3, 4]), { perm: [2, 0, 1] }),
    x(f([2, 1, 3, 1]), { perm: [1, 0, 3, 2] }),
    x(i([2, 3, 4]), { perm: [0, 2, 1] }),
    x(b([2, 3]), { perm: [1, 0] }),
    x(f([2, 1, 2, 3, 2]), { perm: [4, 2, 0, 3, 1] }),
  ],
  Concat: [
    { inputs: [f([2, 3]), f([2, 4])], attributes: { axis: 1 } },
    { inputs: [f([2, 3]), f([1, 3]), f([3, 3])], attributes: { axis: 0 } },
    { inputs: [f([2, 3, 2]), f([2, 3, 1])], attributes: { axis: -1 } },
    { inputs: [i([3]), i([2])], attributes: { axis: 0 } },
    { inputs: [b([3]), b([2])], attributes: { axis: 0 } },
    { inputs: [f([0, 3]), f([2, 3])], attributes: { axis: 0 } },
    { inputs: [f([0, 3]), f([0, 3])], attributes: { axis: 0 } },
  ],
  Pack: [
    ...[0, 1, 2].map((axis) => ({ inputs: [f([3, 4]), f([3, 4])], attributes: { axis } })),
    { inputs: [i([]), i([])], attributes: { axis: 0 } },
    { inputs: [b([2]), b([2])], attributes: { axis: 1 } },
  ],
  Unpack: [
    ...[0, 1].map((axis) => ({ inputs: { value: f([3, 4]) }, attributes: { axis } })),
    { inputs: { value: i([3]) }, attributes: { axis: 0 } },
  ],
  SplitV: [
    x(f([6, 2]), { numOrSizeSplits: [3, 3], axis: 0 }),
    x(f([2, 7]), { numOrSizeSplits: [1, 2, 4], axis: 1 }),
    x(f([2, 7]), { numOrSizeSplits: [3, -1], axis: 1 }),
  ],
  Slice: [
    x(f([7]), { begin: [2], size: [3] }),
    x(f([3, 5]), { begin: [1, 0], size: [2, 5] }),
    x(f([3, 5]), { begin: [0, 2], size: [-1, -1] }),
    x(f([2, 3, 4, 5]), { begin: [1, 1, 0, 2], size: [1, 2, 4, 3] }),
    x(i([6]), { begin: [0], size: [4] }),
    x(b([6]), { begin: [1], size: [4] }),
    x(f([5]), { begin: [5], size: [0] }),
  ],
  StridedSlice: [
    x(f([7]), {
      begin: [1],
      end: [7],
      strides: [2],
      beginMask: 0,
      endMask: 0,
      ellipsisMask: 0,
      newAxisMask: 0,
      shrinkAxisMask: 0,
    }),
    x(f([4, 5]), {
      begin: [3, 0],
      end: [0, 5],
      strides: [-1, 2],
      beginMask: 0,
      endMask: 1,
      ellipsisMask: 0,
      newAxisMask: 0,
      shrinkAxisMask: 0,
    }),
    x(f([4, 5]), {
      begin: [1, 1],
      end: [3, 2],
      strides: [1, 1],
      beginMask: 0,
      endMask: 0,
      ellipsisMask: 0,
      newAxisMask: 0,
      shrinkAxisMask: 2,
    }),
    x(i([2, 3, 4]), {
      begin: [0, 0, 1],
      end: [2, 3, 4],
      strides: [1, 2, 1],
      beginMask: 0,
      endMask: 0,
      ellipsisMask: 0,
      newAxisMask: 0,
      shrinkAxisMask: 0,
    }),
  ],
  PadV2: [
    x(f([3]), { paddings: [[1, 2]], constantValue: 0 }),
    x(f([2, 3]), {
      paddings: [
        [0, 1],
        [2, 0],
      ],
      constantValue: 1.5,
    }),
    x(f([1, 2, 3, 2]), {
      paddings: [
        [0, 0],
        [1, 1],
        [2, 0],
        [0, 0],
      ],
      constantValue: 0,
    }),
    x(i([3]), { paddings: [[1, 1]], constantValue: 7 }),
    x(f([0, 2]), {
      paddings: [
        [1, 2],
        [0, 0],
      ],
      constantValue: 3,
    }),
  ],
  MirrorPad: ['reflect', 'symmetric'].flatMap((mode) => [
    x(f([5]), { paddings: [[2, 3]], mode }),
    x(f([3, 4]), {
      paddings: [
        [1, 2],
        [2, 0],
      ],
      mode,
    }),
    x(f([1, 4, 3, 2]), {
      paddings: [
        [0, 0],
        [2, 2],
        [1, 1],
        [0, 0],
      ],
      mode,
    }),
    x(i([5]), { paddings: [[1, 1]], mode }),
  ]),
  Tile: [
    x(f([3]), { reps: [4] }),
    x(f([2, 3]), { reps: [2, 1] }),
    x(f([2, 1, 3]), { reps: [1, 4, 2] }),
    x(i([2, 2]), { reps: [2, 3] }),
    x(b([3]), { reps: [2] }),
  ],
  Reverse: [
    x(f([5]), { dims: [0] }),
    x(f([3, 4]), { dims: [0, 1] }),
    x(f([2, 3, 4]), { dims: [-1] }),
    x(i([5]), { dims: [0] }),
    x(b([5]), { dims: [0] }),
  ],
  GatherV2: [
    { inputs: { x: f([7]), indices: i([4], { from: 0, to: 7 }) }, attributes: { axis: 0, batchDims: 0 } },
    { inputs: { x: f([5, 3]), indices: i([2, 4], { from: 0, to: 5 }) }, attributes: { axis: 0, batchDims: 0 } },
    { inputs: { x: f([2, 5, 3]), indices: i([4], { from: 0, to: 5 }) }, attributes: { axis: 1, batchDims: 0 } },
    { inputs: { x: f([2, 3, 5]), indices: i([2, 2], { from: 0, to: 5 }) }, attributes: { axis: 2, batchDims: 0 } },
    { inputs: { x: f([5, 3]), indices: i([], { from: 0, to: 5 }) }, attributes: { axis: 0, batchDims: 0 } },
    { inputs: { x: f([2, 5, 3]), indices: i([2, 4], { from: 0, to: 5 }) }, attributes: { axis: 1, batchDims: 1 } },
    { inputs: { x: f([2, 3, 5]), indices: i([2, 4], { from: 0, to: 5 }) }, attributes: { axis: 2, batchDims: 1 } },
    {
      inputs: { x: f([2, 3, 5, 2]), indices: i([2, 3, 4], { from: 0, to: 5 }) },
      attributes: { axis: 2, batchDims: 2 },
    },
    { inputs: { x: i([5, 3]), indices: i([4], { from: 0, to: 5 }) }, attributes: { axis: 0, batchDims: 0 } },
    { inputs: { x: b([5, 3]), indices: i([4], { from: 0, to: 3 }) }, attributes: { axis: 1, batchDims: 0 } },
  ],
  GatherNd: [
    { inputs: { params: f([5, 3]), indices: i([4, 1], { from: 0, to: 5 }) } },
    { inputs: { params: f([3, 4, 2]), indices: i([5, 2], { from: 0, to: 3 }) } },
    { inputs: { params: f([3, 4]), indices: i([2, 3, 2], { from: 0, to: 3 }) } },
  ],
  ScatterNd: [
    { inputs: { indices: i([4, 1], { from: 0, to: 6 }), updates: f([4, 3]) }, attributes: { shape: [6, 3] } },
    { inputs: { indices: i([5, 2], { from: 0, to: 3 }), updates: f([5]) }, attributes: { shape: [3, 3] } },
    { inputs: { indices: i([4, 1], { from: 0, to: 6 }), updates: i([4]) }, attributes: { shape: [6] } },
  ],
  TensorScatterUpdate: [
    { inputs: { tensor: f([6, 2]), indices: i([3, 1], { values: [4, 0, 2] }), updates: f([3, 2]) } },
    { inputs: { tensor: i([6]), indices: i([2, 1], { values: [5, 1] }), updates: i([2]) } },
  ],
  UnsortedSegmentSum: [
    { inputs: { x: f([6]), segmentIds: i([6], { from: 0, to: 4 }) }, attributes: { numSegments: 4 } },
    { inputs: { x: f([6, 3]), segmentIds: i([6], { from: 0, to: 4 }) }, attributes: { numSegments: 5 } },
    { inputs: { x: i([6]), segmentIds: i([6], { from: 0, to: 3 }) }, attributes: { numSegments: 3 } },
  ],
  OneHot: [
    {
      inputs: { indices: i([5], { from: -1, to: 4 }) },
      attributes: { depth: 4, onValue: 1, offValue: 0, dtype: 'float32' },
    },
    {
      inputs: { indices: i([2, 3], { from: 0, to: 6 }) },
      attributes: { depth: 4, onValue: 3, offValue: -1, dtype: 'int32' },
    },
    {
      inputs: { indices: i([2, 3], { from: 0, to: 4 }) },
      attributes: { depth: 4, onValue: 1, offValue: 0, dtype: 'bool' },
    },
  ],
  Fill: [
    { inputs: {}, attributes: { shape: [2, 3], value: 1.5, dtype: 'float32' } },
    { inputs: {}, attributes: { shape: [4], value: 3, dtype: 'int32' } },
    { inputs: {}, attributes: { shape: [], value: 2, dtype: 'float32' } },
  ],
  Range: [
    { inputs: {}, attributes: { start: 0, stop: 5, step: 1, dtype: 'int32' } },
    { inputs: {}, attributes: { start: 3, stop: -1, step: -0.5, dtype: 'float32' } },
    { inputs: {}, attributes: { start: 3, stop: 3, step: 1, dtype: 'float32' } },
  ],
  LinSpace: [
    { inputs: {}, attributes: { start: -1, stop: 2, num: 7 } },
    { inputs: {}, attributes: { start: 1, stop: 5, num: 1 } },
  ],
  DepthToSpace: [
    x(f([1, 2, 3, 8]), { blockSize: 2, dataFormat: 'NHWC' }),
    x(f([2, 1, 2, 9]), { blockSize: 3, dataFormat: 'NHWC' }),
  ],

  // Convolutions.
  Conv2D: [
    {
      inputs: { x: f([2, 5, 6, 3]), filter: f([3, 3, 3, 4]) },
      attributes: { strides: 1, pad: 'same', dataFormat: 'NHWC', dilations: 1 },
    },
    {
      inputs: { x: f([1, 7, 5, 2]), filter: f([4, 4, 2, 3]) },
      attributes: { strides: 2, pad: 'same', dataFormat: 'NHWC', dilations: 1 },
    },
    {
      inputs: { x: f([2, 8, 8, 3]), filter: f([4, 4, 3, 2]) },
      attributes: { strides: [2, 2], pad: 1, dataFormat: 'NHWC', dilations: [1, 1] },
    },
    {
      inputs: { x: f([2, 6, 5, 3]), filter: f([3, 2, 3, 2]) },
      attributes: { strides: [2, 1], pad: 'valid', dataFormat: 'NHWC', dilations: 1 },
    },
    {
      inputs: { x: f([2, 3, 3, 4]), filter: f([1, 1, 4, 5]) },
      attributes: { strides: 1, pad: 'valid', dataFormat: 'NHWC', dilations: 1 },
    },
    {
      inputs: { x: f([1, 7, 7, 2]), filter: f([3, 3, 2, 2]) },
      attributes: { strides: 1, pad: 'same', dataFormat: 'NHWC', dilations: 2 },
    },
    {
      inputs: { x: f([1, 9, 8, 2]), filter: f([3, 2, 2, 2]) },
      attributes: { strides: 1, pad: 'valid', dataFormat: 'NHWC', dilations: [3, 2] },
    },
    {
      inputs: { x: f([1, 5, 6, 2]), filter: f([3, 3, 2, 2]) },
      attributes: {
        strides: 1,
        pad: [
          [0, 0],
          [2, 1],
          [0, 1],
          [0, 0],
        ],
        dataFormat: 'NHWC',
        dilations: 1,
      },
    },
  ],
  Conv2DBackpropInput: [
    {
      inputs: { dy: f([2, 5, 6, 4]), filter: f([3, 3, 3, 4]) },
      attributes: { strides: 1, pad: 'same', dataFormat: 'NHWC', inputShape: [2, 5, 6, 3] },
    },
    {
      inputs: { dy: f([1, 4, 4, 3]), filter: f([4, 4, 2, 3]) },
      attributes: { strides: 2, pad: 'same', dataFormat: 'NHWC', inputShape: [1, 8, 8, 2] },
    },
    {
      inputs: { dy: f([2, 3, 2, 3]), filter: f([3, 3, 2, 3]) },
      attributes: { strides: 2, pad: 'valid', dataFormat: 'NHWC', inputShape: [2, 8, 6, 2] },
    },
    {
      inputs: { dy: f([2, 3, 3, 4]), filter: f([1, 1, 5, 4]) },
      attributes: { strides: 1, pad: 'valid', dataFormat: 'NHWC', inputShape: [2, 3, 3, 5] },
    },
  ],
  Conv2DBackpropFilter: [
    {
      inputs: { x: f([2, 5, 6, 3]), dy: f([2, 5, 6, 4]) },
      attributes: { strides: 1, pad: 'same', dataFormat: 'NHWC', filterShape: [3, 3, 3, 4] },
    },
    {
      inputs: { x: f([1, 8, 8, 2]), dy: f([1, 4, 4, 3]) },
      attributes: { strides: 2, pad: 'same', dataFormat: 'NHWC', filterShape: [4, 4, 2, 3] },
    },
    {
      inputs: { x: f([2, 8, 6, 2]), dy: f([2, 3, 2, 3]) },
      attributes: { strides: 2, pad: 'valid', dataFormat: 'NHWC', filterShape: [3, 3, 2, 3] },
    },
  ],
  DepthwiseConv2dNative: [
    { inputs: { x: f([2, 5, 6, 3]), filter: f([3, 3, 3, 1]) }, attributes: { strides: 1, pad: 'same', dilations: 1 } },
    { inputs: { x: f([1, 7, 6, 2]), filter: f([3, 2, 2, 3]) }, attributes: { strides: 2, pad: 'valid', dilations: 1 } },
    { inputs: { x: f([1, 7, 7, 2]), filter: f([3, 3, 2, 2]) }, attributes: { strides: 1, pad: 'same', dilations: 2 } },
  ],
  MaxPool: [
    x(f([2, 6, 5, 3], { distinct: true }), { filterSize: 2, strides: 2, pad: 'valid' }),
    x(f([1, 5, 7, 2], { distinct: true }), { filterSize: [3, 2], strides: [2, 1], pad: 'same' }),
    x(f([1, 5, 5, 2], { distinct: true }), { filterSize: 3, strides: 1, pad: 1, dimRoundingMode: 'floor' }),
  ],
  AvgPool: [
    x(f([2, 6, 5, 3]), { filterSize: 2, strides: 2, pad: 'valid' }),
    x(f([1, 5, 7, 2]), { filterSize: [3, 2], strides: [2, 1], pad: 'same' }),
    x(f([1, 5, 5, 2]), { filterSize: 3, strides: 1, pad: 1, dimRoundingMode: 'floor' }),
  ],
  MaxPoolGrad: [
    // The second input decides where the gradient goes: equal elements of a window share nothing, the first takes it.
    {
      inputs: {
        dy: f([1, 3, 3, 2]),
        input: f([1, 6, 6, 2], { values: [1, 2, 2, 2] }),
        output: f([1, 3, 3, 2], { values: [2] }),
      },
      attributes: { filterSize: 2, strides: 2, pad: 'valid' },
    },
    {
      inputs: {
        dy: f([2, 3, 3, 1]),
        input: f([2, 5, 5, 1], { values: [-3] }),
        output: f([2, 3, 3, 1], { values: [-3] }),
      },
      attributes: { filterSize: 3, strides: 2, pad: 'same' },
    },
  ],
  AvgPoolGrad: [
    {
      inputs: { dy: f([1, 3, 3, 2]), input: f([1, 6, 6, 2]) },
      attributes: { filterSize: 2, strides: 2, pad: 'valid' },
    },
    {
      inputs: { dy: f([2, 3, 4, 1]), input: f([2, 5, 4, 1]) },
      attributes: { filterSize: 3, strides: [2, 1], pad: 'same' },
    },
  ],
  DepthwiseConv2dNativeBackpropInput: [
    {
      inputs: { dy: f([2, 5, 6, 3]), filter: f([3, 3, 3, 1]) },
      attributes: { strides: 1, pad: 'same', dilations: 1, inputShape: [2, 5, 6, 3] },
    },
    {
      inputs: { dy: f([1, 3, 3, 6]), filter: f([3, 2, 2, 3]) },
      attributes: { strides: 2, pad: 'valid', dilations: 1, inputShape: [1, 8, 7, 2] },
    },
  ],
  DepthwiseConv2dNativeBackpropFilter: [
    {
      inputs: { x: f([2, 5, 6, 3]), dy: f([2, 5, 6, 3]) },
      attributes: { strides: 1, pad: 'same', dilations: 1, filterShape: [3, 3, 3, 1] },
    },
    {
      inputs: { x: f([1, 8, 7, 2]), dy: f([1, 3, 3, 6]) },
      attributes: { strides: 2, pad: 'valid', dilations: 1, filterShape: [3, 2, 2, 3] },
    },
  ],
  ResizeBilinear: resizing(),
  ResizeNearestNeighbor: [
    ...resizing(),
    { inputs: { images: i([1, 3, 4, 2]) }, attributes: { size: [5, 2], alignCorners: false, halfPixelCenters: false } },
  ],

  // Several kernels in one.
  FusedConv2D: ['linear', 'relu', 'relu6', 'elu', 'sigmoid', 'leakyrelu'].map((activation) => ({
    inputs: { x: f([2, 5, 4, 3]), filter: f([3, 3, 3, 2]), bias: f([2]) },
    attributes: { strides: 1, pad: 'same', dataFormat: 'NHWC', dilations: [1, 1], activation, leakyreluAlpha: 0.3 },
  })),
  FusedDepthwiseConv2D: [
    {
      inputs: { x: f([2, 5, 4, 3]), filter: f([3, 3, 3, 2]), bias: f([6]) },
      attributes: { strides: 1, pad: 'same', dataFormat: 'NHWC', dilations: [1, 1], activation: 'relu' },
    },
    {
      inputs: { x: f([1, 4, 4, 2]), filter: f([2, 2, 2, 1]) },
      attributes: { strides: 1, pad: 'valid', dataFormat: 'NHWC', dilations: [1, 1] },
    },
  ],
  _FusedMatMul: [
    {
      inputs: { a: f([2, 3, 4]), b: f([2, 4, 5]), bias: f([5]) },
      attributes: { transposeA: false, transposeB: false, activation: 'relu' },
    },
    {
      inputs: { a: f([1, 4, 3]), b: f([1, 5, 4]), bias: f([5]), preluActivationWeights: f([5]) },
      attributes: { transposeA: true, transposeB: true, activation: 'prelu' },
    },
    { inputs: { a: f([1, 3, 4]), b: f([1, 4, 5]) }, attributes: { transposeA: false, transposeB: false } },
  ],
  FusedBatchNorm: [
    {
      inputs: {
        x: f([2, 3, 4, 5]),
        mean: f([5]),
        variance: f([5], { from: 0.5, to: 2 }),
        scale: f([5]),
        offset: f([5]),
      },
      attributes: { varianceEpsilon: 0.01 },
    },
    // TF.js itself cannot keep a missing scale for the gradient.
    {
      inputs: { x: f([4, 3]), mean: f([3]), variance: f([3], { from: 0.5, to: 2 }) },
      attributes: { varianceEpsilon: 0.001 },
      gradient: false,
    },
  ],
  Bincount: [
    { inputs: { x: i([9], { from: 0, to: 7 }), weights: f([9]) }, attributes: { size: 5 } },
    { inputs: { x: i([9], { from: 0, to: 4 }), weights: f([0]) }, attributes: { size: 6 } },
    { inputs: { x: i([9], { from: 0, to: 4 }), weights: i([9]) }, attributes: { size: 4 } },
  ],
  DenseBincount: [
    { inputs: { x: i([9], { from: 0, to: 7 }), weights: f([9]) }, attributes: { size: 5, binaryOutput: false } },
    { inputs: { x: i([3, 6], { from: 0, to: 7 }), weights: f([0]) }, attributes: { size: 5, binaryOutput: false } },
    { inputs: { x: i([3, 6], { from: 0, to: 7 }), weights: f([3, 6]) }, attributes: { size: 8, binaryOutput: false } },
    { inputs: { x: i([3, 6], { from: 0, to: 7 }), weights: f([0]) }, attributes: { size: 5, binaryOutput: true } },
  ],
  Cumprod: [false, true].flatMap((exclusive) =>
    [false, true].flatMap((reverse) => [
      x(f([5]), { axis: 0, exclusive, reverse }),
      x(f([1]), { axis: 0, exclusive, reverse }),
      // cpu computes an axis that is not the last through a transpose, as the engine's callers do.
      x(f([2, 3, 7]), { axis: 2, exclusive, reverse }),
      x(i([2, 4], { from: -3, to: 4 }), { axis: 1, exclusive, reverse }),
    ]),
  ),
  SpaceToBatchND: [
    x(f([1, 4, 6, 2]), {
      blockShape: [2, 2],
      paddings: [
        [0, 0],
        [0, 0],
      ],
    }),
    x(f([2, 5, 4, 3]), {
      blockShape: [3, 2],
      paddings: [
        [1, 0],
        [1, 1],
      ],
    }),
    x(f([2, 6, 3]), { blockShape: [2], paddings: [[2, 0]] }),
  ],
  BatchToSpaceND: [
    x(f([4, 2, 3, 2]), {
      blockShape: [2, 2],
      crops: [
        [0, 0],
        [0, 0],
      ],
    }),
    x(f([6, 2, 3, 1]), {
      blockShape: [3, 2],
      crops: [
        [1, 0],
        [1, 2],
      ],
    }),
    x(f([4, 3, 2]), { blockShape: [2], crops: [[1, 1]] }),
  ],
  BroadcastArgs: [
    { inputs: { s0: i([3], { values: [2, 1, 4] }), s1: i([2], { values: [3, 1] }) } },
    { inputs: { s0: i([1], { values: [5] }), s1: i([1], { values: [1] }) } },
  ],
  SearchSorted: ['left', 'right'].map((side) => ({
    inputs: { sortedSequence: f([2, 5], { values: [-2, -1, 0, 0, 3] }), values: f([2, 4], { values: [-3, 0, 1, 3] }) },
    attributes: { side },
  })),
  FlipLeftRight: [{ inputs: { image: f([2, 3, 4, 2]) } }],
  BitwiseAnd: binaryInt({ from: 0, to: 100 }),
};

const specials = (values = [NaN, Infinity, -Infinity, 0, -0, 1, -1]): Case[] => [
  { inputs: { x: f([values.length], { values }) } },
];
const specialPairs = (): Case[] => [
  {
    inputs: {
      a: f([25], { values: [NaN, Infinity, -Infinity, 0, 1] }),
      b: f([25], {
        values: [
          NaN,
          NaN,
          NaN,
          NaN,
          NaN,
          Infinity,
          1,
          1,
          1,
          1,
          -Infinity,
          -Infinity,
          Infinity,
          -Infinity,
          2,
          0,
          0,
          0,
          0,
          0,
          3,
          3,
          -3,
          3,
          3,
        ],
      }),
    },
  },
];

/** Kernels that must show a value that is not finite rather than hide it: training stops by them. */
export const SPECIALS: Record<string, Case[]> = {
  ...Object.fromEntries(
    [
      'Abs',
      'Neg',
      'Exp',
      'Log',
      'Sqrt',
      'Square',
      'Relu',
      'Sigmoid',
      'Tanh',
      'Elu',
      'Softplus',
      'Sin',
      'Cos',
      'Floor',
      'Ceil',
      'Round',
      'Reciprocal',
      'Rsqrt',
      'IsNan',
      'IsInf',
      'IsFinite',
      'Expm1',
      'Log1p',
      'Erf',
      'Relu6',
      'Selu',
    ].map((kernel) => [kernel, specials()]),
  ),
  ...Object.fromEntries(
    [
      'Add',
      'Sub',
      'Multiply',
      'RealDiv',
      'Maximum',
      'Minimum',
      'Greater',
      'LessEqual',
      'Equal',
      'NotEqual',
      'SquaredDifference',
    ].map((kernel) => [kernel, specialPairs()]),
  ),
  Sum: [x(f([2, 3], { values: [NaN, 1, 2, Infinity, 1, 2] }), { axis: [1], keepDims: false })],
  Mean: [x(f([2, 3], { values: [NaN, 1, 2, Infinity, 1, 2] }), { axis: [1], keepDims: false })],
  Max: [x(f([2, 3], { values: [NaN, 1, 2, Infinity, 1, 2] }), { reductionIndices: [1], keepDims: false })],
  Min: [x(f([2, 3], { values: [NaN, 1, 2, Infinity, 1, 2] }), { axis: [1], keepDims: false })],
  Softmax: [{ inputs: { logits: f([2, 3], { values: [NaN, 1, 2, -Infinity, 1, 2] }) }, attributes: { dim: 1 } }],
  Cast: [x(f([2], { values: [NaN, 1] }), { dtype: 'bool' })],
};
