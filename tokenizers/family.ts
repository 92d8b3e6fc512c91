// How a picture codec with codes becomes a family that the registry knows.
import type { z } from 'zod';
import type { tf } from '../src/engine/index.js';
import type { ImageInput } from '../src/interfaces/index.js';
import { parseConfig } from '../src/model/config.js';
import type { CodecFamily } from '../src/model/codec.js';
import type { Params } from '../src/model/params.js';

/** What sets one codec apart from the others. */
export interface CodecParts<C extends ImageInput> extends Pick<
  CodecFamily<C>,
  'name' | 'trainable' | 'state' | 'initialize' | 'loss' | 'latents' | 'lastLayer' | 'anyExtent'
> {
  schema: z.ZodType<C>;
  /** The maps of pictures of the config's height and width. */
  maps: (config: C) => ReturnType<CodecFamily<C>['maps']>;
  /** float32 [B, H, W, C] in [-1, 1] -> ids of each map, int32 [B, ...idsShape]. */
  encode(p: Params, images: tf.Tensor4D, config: C): tf.Tensor[];
  /** Ids of each map, int32 [B, ...idsShape] -> float32 [B, H, W, C]. */
  decode(p: Params, ids: readonly tf.Tensor[], config: C): tf.Tensor4D;
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
export function pictureFamily<C extends ImageInput>({ schema, maps, encode, ...parts }: CodecParts<C>): CodecFamily<C> {
  return {
    ...parts,
    medium: 'image',
    parseConfig: (json) => parseConfig(parts.name, schema, json),
    input: inputOf,
    maps: (c, [height, width] = [c.height, c.width]) => maps({ ...c, height: height!, width: width! }),
    encode: (p, inputs, c) => encode(p, inputs as tf.Tensor4D, c),
  };
}
