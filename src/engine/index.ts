// Compiles TF.js functions: traces them to ONNX and runs them in ONNX Runtime. This part uses no module of Node.js. See
// README.md in this folder.
import './gradients/index.js';

export { hostValues, tf } from './tf.js';
export { compile } from './compile.js';
export { exportOnnx } from './export.js';
export type { ExportOptions, Signature, TensorSpec } from './export.js';
export { importOnnx } from './import.js';
export type { ImportedNetwork } from './import.js';
export { flopsOf } from './work.js';
export { printGraph } from './graph.js';
export type { Graph } from './graph.js';
export type { CompileOptions, Compiled } from './compile.js';
export { mapTensors, tensorsOf } from './structure.js';
export type { Structure } from './structure.js';
export { ENGINES, engineInUse, useEngine } from './engines.js';
export type { EngineName } from './engines.js';
export { randomKey, randomNormal, randomUniform, subKey } from './random.js';
export type { RandomKey } from './random.js';
export { crossEntropy, gelu, layerNorm } from './kernels/fused.js';
export { stopGradient } from './stop-gradient.js';
export { defaultThreads, loadRuntime, setDefaultThreads } from './runtime.js';
