import { UsageError } from '../errors.js';
import { SPLITS } from './format.js';
import type { ShardReader } from './reader.js';
import { axesText, sameAxes, specOf } from '../interfaces/tokens.js';
import type { TokenMapSpec } from '../interfaces/tokens.js';

/**
 * Returns the maps that all samples of a dataset share. If the dataset leaves shapes open, every sample is read.
 *
 * @throws {UsageError} E_MIXED_SHAPES naming two samples that differ.
 * @throws {CorruptError} the errors of {@link ShardReader.read}.
 */
export async function uniformMaps(reader: ShardReader): Promise<TokenMapSpec[]> {
  const { maps } = reader;
  if (maps.every(({ grid }) => !grid.includes(-1))) return maps;
  let first: { key: string; maps: TokenMapSpec[] } | undefined;
  for (const split of SPLITS) {
    for await (const { key, tokens } of reader.stream(split)) {
      first ??= { key, maps: tokens.maps.map(specOf) };
      const other = tokens.maps.findIndex((map, i) => !sameAxes(map, first!.maps[i]!));
      if (other >= 0) {
        const text = (one: { key: string; maps: TokenMapSpec[] }): string =>
          `${axesText(one.maps[other]!)} of "${one.key}"`;
        throw new UsageError(
          'E_MIXED_SHAPES',
          `${reader.directory}: expected maps of one shape for a prior, found ${text(first)} and ${text({ key, maps: tokens.maps })}. Tokenize with a codec that resizes images, or use images of one size.`,
        );
      }
    }
  }
  return first?.maps ?? maps;
}
