import type { Media, MediaInfo } from './media.js';
import type { Tokens, TokenMapSpec } from './tokens.js';

/** A trained codec: media to discrete tokens and back. */
export interface Tokenizer<M extends Media = Media> {
  readonly kind: M['kind'];
  /** Registry name of the codec family, e.g. `vqvae`. */
  readonly name: string;
  /** sha256 over config and weights, hex; stored in every shard and prior made with this codec. */
  readonly fingerprint: string;
  /** The maps `encode` returns for media of the given size (default: the size the codec was configured for). */
  maps(media?: MediaInfo): TokenMapSpec[];
  /** Media to tokens. A batch is computed together; sizes the codec was not configured for are resized first, unless it takes any. */
  encode(media: M): Promise<Tokens>;
  encode(media: readonly M[]): Promise<Tokens[]>;
  /** Tokens to media of the codec's own size, or of their true size where the codec takes any. @throws {CorruptError} E_CODEC_MISMATCH for tokens of another codec. */
  decode(tokens: Tokens): Promise<M>;
  decode(tokens: readonly Tokens[]): Promise<M[]>;
  /** Frees compiled graphs and weights. */
  dispose(): void;
}
