// Turns a codec's two traced functions into a Tokenizer of pictures: batches, resizing, tokens in and out.
import { CorruptError, ShapeError } from '../src/errors.js';
import { compile, hostValues, tf } from '../src/engine/index.js';
import type { Image, ImageInput, TokenMapSpec, Tokenizer, Tokens } from '../src/interfaces/index.js';
import { fromFloat32 } from '../src/media/image.js';
import { batches, encodePictures } from '../src/media/picture-tokens.js';
import { disposeParams } from '../src/nn/params.js';
import type { Params } from '../src/nn/params.js';
import { sameShape, sizeOf } from '../src/shape.js';

export interface ImageCodecParts {
  name: string;
  fingerprint: string;
  input: ImageInput;
  maps: TokenMapSpec[];
  /** Owned by the codec from here on. */
  params: Params;
  /** float32 [B, H, W, C] -> int32 [B, ..shape] for each map. */
  encode: (p: Params, images: tf.Tensor4D) => tf.Tensor[];
  /** int32 [B, ..shape] for each map -> float32 [B, H, W, C]. */
  decode: (p: Params, maps: tf.Tensor[]) => tf.Tensor4D;
}

/** A codec over pictures. Weights are embedded in its graphs: they are taken to be final. */
export class ImageCodec implements Tokenizer<Image> {
  readonly kind = 'image';
  readonly name: string;
  readonly fingerprint: string;
  private readonly encoder;
  private readonly decoder;

  constructor(private readonly parts: ImageCodecParts) {
    this.name = parts.name;
    this.fingerprint = parts.fingerprint;
    this.encoder = compile((images: tf.Tensor4D) => parts.encode(parts.params, images), { name: `${parts.name}_encode`, freeze: true });
    this.decoder = compile((maps: tf.Tensor[]) => parts.decode(parts.params, maps), { name: `${parts.name}_decode`, freeze: true });
  }

  maps(): TokenMapSpec[] {
    return this.parts.maps.map((map) => ({ ...map, shape: [...map.shape] }));
  }

  encode(media: Image): Promise<Tokens>;
  encode(media: readonly Image[]): Promise<Tokens[]>;
  async encode(media: Image | readonly Image[]): Promise<Tokens | Tokens[]> {
    if (!Array.isArray(media)) return (await this.encodeAll([media as Image]))[0]!;
    return this.encodeAll(media as readonly Image[]);
  }

  decode(tokens: Tokens): Promise<Image>;
  decode(tokens: readonly Tokens[]): Promise<Image[]>;
  async decode(tokens: Tokens | readonly Tokens[]): Promise<Image | Image[]> {
    if (!Array.isArray(tokens)) return (await this.decodeAll([tokens as Tokens]))[0]!;
    return this.decodeAll(tokens as readonly Tokens[]);
  }

  dispose(): void {
    void this.encoder.dispose();
    void this.decoder.dispose();
    disposeParams(this.parts.params);
  }

  private encodeAll(images: readonly Image[]): Promise<Tokens[]> {
    const { height, width, channels } = this.parts.input;
    return encodePictures(this.parts, images, async (pixels, rows) => {
      const batch = tf.tensor4d(pixels, [rows, height, width, channels]);
      const ids = await this.encoder(batch);
      batch.dispose();
      return ids.map((map) => take(map) as Int32Array);
    });
  }

  private async decodeAll(tokens: readonly Tokens[]): Promise<Image[]> {
    for (const one of tokens) this.check(one);
    const images: Image[] = [];
    for (const [start, rows] of batches(tokens.length)) {
      const count = Math.min(rows, tokens.length - start);
      const maps = this.parts.maps.map(({ shape }, i) => {
        const size = sizeOf(shape);
        const ids = new Int32Array(rows * size);
        for (let row = 0; row < count; row++) ids.set(tokens[start + row]!.maps[i]!.ids, row * size);
        return tf.tensor(ids, [rows, ...shape], 'int32');
      });
      const decoded = await this.decoder(maps);
      for (const map of maps) map.dispose();
      const { shape } = decoded;
      images.push(...fromFloat32(take(decoded) as Float32Array, shape).slice(0, count));
    }
    return images;
  }

  private check(tokens: Tokens): void {
    if (tokens.codec !== this.fingerprint) {
      throw new CorruptError('E_CODEC_MISMATCH', `decode: expected tokens of codec ${this.fingerprint.slice(0, 12)}, received tokens of ${tokens.codec.slice(0, 12)}. Decode with the codec that made them.`);
    }
    this.parts.maps.forEach(({ name, shape, vocabSize }, i) => {
      const map = tokens.maps[i];
      if (!map || !sameShape(map.shape, shape)) throw new ShapeError('E_TOKENS_SHAPE', `decode(${name}): expected a map [${shape.join(', ')}], received ${map ? `[${map.shape.join(', ')}]` : 'none'}.`);
      const bad = map.ids.findIndex((id) => id >= vocabSize);
      if (bad >= 0) throw new ShapeError('E_TOKENS_RANGE', `decode(${name}): expected ids below ${vocabSize}, received ${map.ids[bad]} at ${bad}.`);
    });
  }
}

/** The values of a tensor, which is disposed. */
function take(tensor: tf.Tensor): Float32Array | Int32Array | Uint8Array {
  const values = hostValues(tensor);
  tensor.dispose();
  return values;
}
