// The public API for browsers, where models come as bytes and ONNX Runtime is handed in. Nothing here, or in what it
// imports, uses a module of Node.js. Names that `tesserae` exports too mean the same, but for loading: there is no
// disk.
export { setRuntime } from './engine/runtime-web.js';

// Models.
export { fetchModel, loadCodec, loadPrior } from './sdk/model-files.js';
export type { ModelFiles } from './sdk/model-files.js';
export type { LoadedCodec, LoadOptions } from './sdk/codec.js';
export type { LoadedPrior } from './sdk/prior.js';
export { quantizerNames, registerCodec, registerPrior, registerQuantizer } from './registry.js';
export type { QuantizedBatch, QuantizerFamily, TrainingMoment } from './model/quantizer.js';
export type { CodecFamily } from './model/codec.js';
export type {
  Condition,
  Decoder,
  OpenStage,
  Predictor,
  PriorFamily,
  RefineStage,
  Stage,
  StageBatch,
  StageContext,
  StepStage,
  TextEncoder,
} from './model/prior.js';
export type { ExportedFunction } from './model/exported.js';
export type { ModelCard } from './checkpoint/card.js';

// Media.
export { imageCore } from './media/image/core.js';
export { isImage } from './media/image/check.js';
export { registerMedium } from './media/registry.js';
export type { MediumCore } from './media/medium.js';
export type { SampleArray, Samples } from './media/samples.js';
export { fromRgba, toRgba } from './media/image/rgba.js';
export type { RgbaImage } from './media/image/rgba.js';
export { resizeImage } from './media/image/fit.js';
export type { ResizeOptions } from './media/image/fit.js';

// Text.
export { loadTextTokenizer } from './text/tokenizer.js';
export type { TextTokenizer } from './text/tokenizer.js';

// Plain data and contracts.
export { toIds } from './interfaces/index.js';
export type {
  CallOptions,
  Conditioning,
  Image,
  Media,
  MediaInfo,
  Prior,
  PriorOptions,
  Prompt,
  SamplingDefaults,
  SamplingOptions,
  TokenMap,
  TokenMapSpec,
  TokenSample,
  Tokenizer,
  Tokens,
} from './interfaces/index.js';

// Errors: the class tells the kind, `code` what happened.
export {
  AbortedError,
  CorruptError,
  EngineError,
  InputError,
  IoError,
  ShapeError,
  TesseraeError,
  UsageError,
} from './errors.js';
