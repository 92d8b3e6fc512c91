// How a picture codec with codes becomes a family that the registry knows: what follows from its maps, its encoding and its
// decoding is written here, once.
import type { z } from 'zod';
import type { tf } from '../src/engine/index.js';
import { idsShape } from '../src/interfaces/index.js';
import type { ImageInput } from '../src/interfaces/index.js';
import { parseConfig } from '../src/nn/config.js';
import type { AnySize, CodecFamily } from '../src/nn/family.js';
import { importParams } from '../src/nn/params.js';
import type { Params } from '../src/nn/params.js';
import { ImageCodec } from './image-codec.js';

/** What sets one codec apart from the others. */
export interface CodecParts<C extends ImageInput> extends Pick<
  CodecFamily<C>,
  'name' | 'maps' | 'trainable' | 'state' | 'initialize' | 'loss' | 'latents' | 'lastLayer'
> {
  schema: z.ZodType<C>;
  /** float32 [B, H, W, C] in [-1, 1] -> ids of each map, int32 [B, ..shape]. */
  encode(p: Params, images: tf.Tensor4D, config: C): tf.Tensor[];
  /** Ids of each map, int32 [B, ..shape] -> float32 [B, H, W, C]. */
  decode(p: Params, maps: readonly tf.Tensor[], config: C): tf.Tensor4D;
  /** For codecs that take `resize: 'none'`: their maps follow the height and width of the config. */
  anySize?: Omit<AnySize<C>, 'maps'>;
}

/** The part of a codec's config that says which pictures it sees. */
export const inputOf = ({ height, width, channels, background, resize }: ImageInput): ImageInput => ({
  height,
  width,
  channels,
  background,
  resize,
});

/** A codec of pictures as the registry knows it. */
export function pictureFamily<C extends ImageInput>({
  schema,
  encode,
  decode,
  anySize: sizing,
  ...parts
}: CodecParts<C>): CodecFamily<C> {
  const { name, maps } = parts;
  const anySize: AnySize<C> | undefined = sizing && {
    ...sizing,
    maps: (c, height, width) => maps({ ...c, height, width }),
  };
  return {
    ...parts,
    kind: 'image',
    parseConfig: (json) => parseConfig(name, schema, json),
    input: inputOf,
    anySize,
    reconstruct: (p, images, c) => {
      const ids = encode(p, images, c);
      return { maps: ids, images: decode(p, ids, c) };
    },
    open: (c, tensors, fingerprint, options) =>
      new ImageCodec({
        name,
        fingerprint,
        input: inputOf(c),
        maps: maps(c),
        params: importParams(name, { ...parts.trainable(c), ...parts.state(c) }, tensors),
        encode: (p, images) => encode(p, images, c),
        decode: (p, ids) => decode(p, ids, c),
        anySize: anySize && {
          multiple: anySize.multiple(c),
          maps: (height, width) => anySize.maps(c, height, width),
          reach: anySize.reach(c),
        },
        ...options,
      }),
    exports: (p, c) => ({
      encoder: {
        fn: (images) => encode(p, images as tf.Tensor4D, c),
        inputs: [{ name: 'images', shape: [1, c.height, c.width, c.channels], dtype: 'float32' }],
        outputs: maps(c).map((map) => map.name),
        dynamicBatch: true,
      },
      decoder: {
        fn: (...ids) => decode(p, ids, c),
        inputs: maps(c).map((map) => ({ name: map.name, shape: [1, ...idsShape(map)], dtype: 'int32' as const })),
        outputs: ['images'],
        dynamicBatch: true,
      },
    }),
  };
}
