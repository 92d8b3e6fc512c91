// Turns the parts of an image codec with codes into a family that the registry knows.
import type { z } from 'zod';
import type { tf } from '../src/engine/index.js';
import type { ImageInput } from '../src/interfaces/index.js';
import { parseConfig } from '../src/model/config.js';
import type { CodecFamily } from '../src/model/codec.js';

/** The parts that differ between image codecs with codes. */
export interface CodecParts<C extends ImageInput> extends Omit<
  CodecFamily<C, tf.Tensor4D>,
  'medium' | 'parseConfig' | 'input' | 'maps'
> {
  schema: z.ZodType<C>;
  /** The maps of images of the config's height and width. */
  maps: (config: C) => ReturnType<CodecFamily<C>['maps']>;
}

/** The part of a codec's config that says which images it sees. */
export const inputOf = ({ height, width, channels, background, resize }: ImageInput): ImageInput => ({
  height,
  width,
  channels,
  background,
  resize,
});

/** An image codec as the registry knows it. */
export function imageFamily<C extends ImageInput>({
  schema,
  maps,
  ...parts
}: CodecParts<C>): CodecFamily<C, tf.Tensor4D> {
  return {
    ...parts,
    medium: 'image',
    parseConfig: (json) => parseConfig(parts.name, schema, json),
    input: inputOf,
    maps: (c, [height, width] = [c.height, c.width]) => maps({ ...c, height: height!, width: width! }),
  };
}
