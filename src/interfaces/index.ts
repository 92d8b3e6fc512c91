export type { Audio, Image, ImageInput, Media, MediaInfo } from './media.js';
export type { TokenMap, TokenMapSpec, TokenSample, Tokens } from './tokens.js';
export { checkTokens, flatCodes, toIds } from './tokens.js';
export type { BadFile, Dataset, DataSummary, LeftOut, RawSample, Sample, Split, Splitting } from './dataset.js';
export type { Tokenizer } from './tokenizer.js';
export type { Conditioning, Prior, Prompt, SamplingOptions } from './prior.js';
