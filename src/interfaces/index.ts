export type { Audio, Image, ImageInfo, ImageInput, Media, MediaInfo } from './media.js';
export type { TokenMap, TokenMapSpec, TokenSample, Tokens } from './tokens.js';
export {
  axesText,
  checkTokens,
  codeCount,
  flatCodes,
  idsShape,
  isMediaInfo,
  sameAxes,
  specOf,
  toIds,
  withAxes,
} from './tokens.js';
export type {
  BadFile,
  Dataset,
  DataSummary,
  LeftOut,
  RawSample,
  Sample,
  SampleContent,
  Split,
  Splitting,
} from './dataset.js';
export type { Tokenizer } from './tokenizer.js';
export type {
  CallOptions,
  Conditioning,
  Prior,
  PriorOptions,
  Prompt,
  SamplingDefaults,
  SamplingOptions,
} from './prior.js';
