import { UsageError } from '../errors.js';
import { SPLITS } from './format.js';
import type { ShardReader } from './reader.js';
import type { TokenMapSpec } from '../interfaces/tokens.js';
import { sameShape } from '../shape.js';

/**
 * Returns the maps that all samples of a dataset share. If the dataset leaves shapes open, every sample is read.
 *
 * @throws {UsageError} E_MIXED_SHAPES naming two samples that differ.
 * @throws {CorruptError} the errors of {@link ShardReader.read}.
 */
export async function uniformMaps(reader: ShardReader): Promise<TokenMapSpec[]> {
  const { maps } = reader;
  if (maps.every(({ shape }) => !shape.includes(-1))) return maps;
  let first: { key: string; shapes: number[][] } | undefined;
  for (const split of SPLITS) {
    for await (const { key, tokens } of reader.stream(split)) {
      const shapes = tokens.maps.map(({ shape }) => shape);
      first ??= { key, shapes };
      const other = shapes.findIndex((shape, i) => !sameShape(shape, first!.shapes[i]!));
      if (other >= 0) {
        const text = (one: { key: string; shapes: number[][] }): string =>
          `[${one.shapes[other]!.join(', ')}] of "${one.key}"`;
        throw new UsageError(
          'E_MIXED_SHAPES',
          `${reader.directory}: expected maps of one shape for a prior, found ${text(first)} and ${text({ key, shapes })}. Tokenize with a codec that resizes images, or use images of one size.`,
        );
      }
    }
  }
  return maps.map((map, i) => ({ ...map, shape: first ? first.shapes[i]! : map.shape }));
}
