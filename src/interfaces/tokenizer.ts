import type { Media, MediaInfo } from './media.js';
import type { Tokens, TokenMapSpec } from './tokens.js';

/** A trained codec, which encodes media into discrete tokens and decodes them. */
export interface Tokenizer<M extends Media = Media> {
  readonly kind: M['kind'];
  /** Registry name of the codec family, e.g. `vqvae`. */
  readonly name: string;
  /** sha256 over config and weights, hex; stored in every shard and prior made with this codec. */
  readonly fingerprint: string;
  /** The maps that `encode` returns for media of a size. Default: the size of the codec's config. */
  maps(media?: MediaInfo): TokenMapSpec[];
  /** Encodes media. A batch is computed together. Media of other sizes are fitted first, unless the codec takes any size. */
  encode(media: M): Promise<Tokens>;
  encode(media: readonly M[]): Promise<Tokens[]>;
  /**
   * Decodes tokens into media of the codec's own size, or of their true size if the codec takes any size.
   *
   * @throws {CorruptError} E_CODEC_MISMATCH for tokens of another codec.
   */
  decode(tokens: Tokens): Promise<M>;
  decode(tokens: readonly Tokens[]): Promise<M[]>;
  /** Frees compiled graphs and weights. */
  dispose(): void;
}
