// Functions of any codec family that follow from its encoding and decoding: reconstructions and exported functions.
import type { tf } from '../engine/index.js';
import { idsShape } from '../interfaces/index.js';
import type { MediaInfo, TokenMapSpec } from '../interfaces/index.js';
import type { AnyCore } from '../media/medium.js';
import type { CodecFamily } from '../model/codec.js';
import type { ExportedFunction, ExportedTensor } from '../model/exported.js';
import type { Params } from '../model/params.js';

/** What an encoder gives: ids of each map, int32 [B, ...idsShape], or the latents of a codec without codes. */
export function encoded<C>(family: CodecFamily<C>, config: C, p: Params, inputs: tf.Tensor): tf.Tensor[] {
  return family.maps(config).length > 0
    ? family.encode(p, inputs, config)
    : latentsOf(family).encode(p, inputs, config);
}

/**
 * Encodes and decodes a batch.
 *
 * @param inputs float32 [B, ...axes, channels].
 * @returns the ids of each map, none for a codec without codes, and what they decode to, not clipped.
 */
export function reconstruct<C>(
  family: CodecFamily<C>,
  config: C,
  p: Params,
  inputs: tf.Tensor,
): { maps: tf.Tensor[]; output: tf.Tensor } {
  const codes = encoded(family, config, p, inputs);
  if (family.maps(config).length > 0) return { maps: codes, output: family.decode(p, codes, config) };
  return { maps: [], output: latentsOf(family).decode(p, codes, config) };
}

function latentsOf<C>(family: CodecFamily<C>): NonNullable<CodecFamily<C>['latents']> {
  if (!family.latents) throw new TypeError(`codec ${family.name}: it has neither codes nor latents.`);
  return family.latents;
}

/**
 * Describes the samples that a codec decodes from maps of these grids, such as those of a prior: they have as many of the
 * codec's cells as the maps have codes.
 */
export function decodedInfo<C>(
  family: CodecFamily<C>,
  config: C,
  medium: AnyCore,
  maps: readonly TokenMapSpec[],
): MediaInfo {
  const input = family.input(config);
  const own = family.maps(config)[0]?.grid;
  const extent = medium.itemShape(input).slice(0, -1);
  return medium.infoOf(
    extent.map((length, axis) => (own ? (length / own[axis]!) * (maps[0]?.grid[axis] ?? own[axis]!) : length)),
    input,
  );
}

/** The functions of a codec to be written as ONNX files. */
export function exportsOf<C>(
  family: CodecFamily<C>,
  config: C,
  p: Params,
  medium: AnyCore,
): Record<string, ExportedFunction> {
  const maps = family.maps(config);
  const { tensor } = medium;
  if (family.exports) return family.exports(p, config, tensor);
  const codes = (map: TokenMapSpec): ExportedTensor => ({
    name: map.name,
    meaning: `ids of the map, row-major, in [0, ${map.vocabSize})`,
  });
  return {
    encoder: {
      fn: (inputs) => family.encode(p, inputs, config),
      inputs: [{ ...tensor, shape: [1, ...medium.itemShape(family.input(config))], dtype: 'float32' }],
      outputs: maps.map(codes),
      dynamicBatch: true,
    },
    decoder: {
      fn: (...ids) => family.decode(p, ids, config),
      inputs: maps.map((map) => ({ ...codes(map), shape: [1, ...idsShape(map)], dtype: 'int32' as const })),
      outputs: [tensor],
      dynamicBatch: true,
    },
  };
}
