// The public API. Names exported here keep their meaning between minor versions.
import './engine/register-node.js';

// Jobs: what the commands do.
export { trainCodec, trainPrior } from './sdk/train.js';
export type { TrainCodecOptions, TrainingOverrides, TrainOptions, TrainPriorOptions } from './sdk/train-options.js';
export { adviseCodec } from './sdk/advice/codec.js';
export { advisePrior } from './sdk/advice/prior.js';
export type { Advice, AdviceRecord, ExpectedError } from './sdk/advice/advice.js';
export type { AdviseCodecOptions, CodecAdvice } from './sdk/advice/codec.js';
export type { AdvisePriorOptions, PriorAdvice } from './sdk/advice/prior.js';
export type { CodecPreset, PriorPreset } from './sdk/presets.js';
export type { TooLong } from './train/conditions.js';
export type { Kept, KeepRule } from './train/watch.js';
export { tokenize } from './sdk/tokenize.js';
export type { TokenizeOptions, TokenizeResult } from './sdk/tokenize.js';
export { generate } from './sdk/generate.js';
export type { Generated, GenerateOptions } from './sdk/generate.js';
export { encodeGenerated, writeGenerated, writeMedia } from './sdk/write-media.js';
export type { EncodeGeneratedOptions, WriteGeneratedOptions, WriteMediaOptions } from './sdk/write-media.js';
export { nearestNeighbors } from './sdk/neighbors.js';
export type { Neighbor, NeighborOptions } from './sdk/neighbors.js';
export { primeCodes } from './sdk/prime.js';
export type { PrimeOptions } from './sdk/prime.js';
export { codeMap, interpolate, traverse } from './sdk/latents.js';
export type { CodeMap, CodeMapOptions, InterpolateOptions, Traversal, TraverseOptions } from './sdk/latents.js';
export { decodeFile, encodeFiles } from './sdk/token-file.js';
export type { DecodedFile, DecodeFileOptions, EncodedFiles, EncodeFilesOptions } from './sdk/token-file.js';
export { decodeTokens } from './sdk/decode.js';
export type { DecodedTokens, DecodeTokensOptions } from './sdk/decode.js';
export { evaluateCodecOn as evaluateCodec, evaluatePriorOn as evaluatePrior } from './sdk/evaluate.js';
export type {
  CodecEvaluation,
  EvaluateCodecOptions,
  EvaluatePriorOptions,
  FeatureNetworkOptions,
  PriorEvaluation,
} from './sdk/evaluate.js';
export { compareCodecs } from './sdk/compare.js';
export type { CodecComparison, CompareCodecsOptions, ComparedCodec } from './sdk/compare.js';
export { comparisonReport } from './sdk/compare-report.js';
export type { ComparisonReportOptions } from './sdk/compare-report.js';
export { inspect } from './sdk/inspect.js';
export type { Inspection } from './sdk/inspection.js';
export { exportModel } from './sdk/export.js';
export type { ExportCard, ExportModelOptions } from './sdk/export.js';
export { doctor } from './sdk/doctor.js';
export type { Diagnosis } from './sdk/doctor.js';
export { presetNames } from './sdk/presets.js';
export { listPresets } from './sdk/preset-list.js';
export type { CodecPresetSummary, PresetList, PriorPresetSummary } from './sdk/preset-list.js';

// Models.
export { loadCodec, loadPrior } from './sdk/models.js';
export type { LoadedCodec, LoadOptions } from './sdk/codec.js';
export type { LoadedPrior } from './sdk/prior.js';
export type { CodecSource, PriorSource } from './sdk/sources.js';
export { quantizerNames, registerCodec, registerPrior, registerQuantizer } from './registry.js';
export * as nn from './nn.js';
export type { QuantizedBatch, QuantizerFamily, TrainingMoment } from './model/quantizer.js';
export type { CodecBatch, CodecFamily, CodecLosses, LatentSpace } from './model/codec.js';
export type { Layer } from './model/layer.js';
export type { Order } from './model/order.js';
export type { Params, ParamSpecs } from './model/params.js';
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
export type { ExportedFunction, ExportedTensor } from './model/exported.js';
export { readModelCard, saveModel } from './checkpoint/model.js';
export type { ModelCard, NewModelCard } from './checkpoint/card.js';
export { useEngine } from './engine/index.js';
export type { EngineName } from './engine/index.js';

// Media: what differs between images, sound and others.
export { imageMedium } from './media/image/medium.js';
export { isImage } from './media/image/check.js';
export { registerMedium } from './media/registry.js';
export type {
  DrawnCodes,
  Exhibit,
  Figure,
  MediaFiles,
  Medium,
  MediumCore,
  QualityMeter,
  RateUnit,
  SampleGroup,
  ShowOptions,
} from './media/medium.js';
export type { SampleArray, Samples } from './media/samples.js';

// Data: datasets, images, shards of tokens, text.
export { openDataset } from './data/open.js';
export { memoryDataset } from './data/memory.js';
export type { MemorySample } from './data/memory.js';
export type { DatasetOptions } from './data/indexed.js';
export { decodeImage, encodeImage, encodePng } from './media/image/image.js';
export { resizeImage } from './media/image/fit.js';
export type { DecodeOptions, ResizeOptions } from './media/image/fit.js';
export { imageGrid } from './media/image/grid.js';
export type { GridOptions } from './media/image/grid.js';
export { ShardReader } from './shards/reader.js';
export type { ShardReaderOptions } from './shards/reader.js';
export { readTokenFile } from './shards/token-file.js';
export type { TokenFile } from './shards/token-file.js';
export { ShardWriter } from './shards/writer.js';
export type { ShardWriterOptions } from './shards/writer.js';
export type { ShardCard, ShardManifest } from './shards/format.js';
export { repair as repairShards } from './shards/repair.js';
export { trainBpe } from './text/bpe.js';
export { loadTextTokenizer } from './text/tokenizer.js';
export type { TextTokenizer } from './text/tokenizer.js';

// Measures.
export { CodebookMeter } from './metrics/codebook.js';
export type { CodebookUse, CodeSpread } from './metrics/codebook.js';
export { FeatureMeter, frechetDistance } from './metrics/frechet.js';
export type { Gaussian } from './metrics/frechet.js';
export { ReconstructionMeter } from './metrics/reconstruction.js';
export type { ReconstructionQuality } from './metrics/reconstruction.js';
export { nmse, psnr } from './metrics/error.js';
export { ssim } from './metrics/ssim.js';

// Plain data and contracts.
export { toIds } from './interfaces/index.js';
export type {
  Audio,
  CallOptions,
  Conditioning,
  Dataset,
  Image,
  ImageInput,
  Media,
  MediaInfo,
  Prior,
  PriorOptions,
  Prompt,
  RawSample,
  Sample,
  SampleContent,
  SamplingDefaults,
  SamplingOptions,
  Split,
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
  DivergedError,
  EngineError,
  EXIT,
  InputError,
  IoError,
  LockError,
  ShapeError,
  TesseraeError,
  UsageError,
} from './errors.js';
