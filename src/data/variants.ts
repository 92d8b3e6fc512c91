// Several augmented variants of every training sample, so that what is computed from them once (tokens) still varies.
import { UsageError } from '../errors.js';
import { canonicalJson } from '../json.js';
import { sha256 } from '../hash.js';
import type { Dataset, RawSample, Split, Variation } from '../interfaces/dataset.js';
import { Rng } from '../rng.js';

export interface VariantOptions {
  /** Variants of each training sample, the unchanged picture first. */
  count: number;
  /** Mirror every second variant left to right. */
  flip?: boolean;
  /** Shift variants by up to this many pixels each way. */
  crop?: number;
  /** Of the shifts. */
  seed: number;
}

/**
 * A dataset whose training split holds every sample `count` times: sample `i` as variant `v` at `v * size + i`, with the
 * key `KEY~v` from the second variant on. Pictures are varied when they are decoded. The held-out split stays as it is.
 *
 * @throws {UsageError} E_DATA_OPTIONS for more variants than differ.
 */
export function withVariants(dataset: Dataset, options: VariantOptions): Dataset {
  const { count, flip = false, crop = 0, seed } = options;
  const different = crop > 0 ? Infinity : flip ? 2 : 1;
  if (count > different)
    throw new UsageError(
      'E_DATA_OPTIONS',
      `variants: expected at most ${different} ${flip ? 'with flip alone' : 'without flip or crop'}, received ${count}. Add crop, which shifts them.`,
    );
  if (count === 1) return dataset;
  const size = dataset.size('train');
  const placeOf = (split: Split, index: number): { index: number; variant: number } =>
    split === 'train' ? { index: index % size, variant: Math.floor(index / size) } : { index, variant: 0 };
  const renamed = <T extends { key: string }>(described: T, variant: number): T =>
    variant === 0 ? described : { ...described, key: `${described.key}~${variant}` };
  const variationOf = (index: number, variant: number): Variation => {
    const rng = new Rng(seed, `variant/${variant}`, index);
    const shift = (): number => rng.int(2 * crop + 1) - crop;
    return { mirrored: flip && variant % 2 === 1, dx: shift(), dy: shift() };
  };
  return {
    kind: dataset.kind,
    source: dataset.source,
    classes: dataset.classes,
    summary: dataset.summary,
    fingerprint: sha256(canonicalJson({ dataset: dataset.fingerprint, count, flip, crop, seed })),
    size: (split) => (split === 'train' ? size * count : dataset.size(split)),
    describe: (split, index) => {
      const place = placeOf(split, index);
      return renamed(dataset.describe(split, place.index), place.variant);
    },
    read: async (split, index): Promise<RawSample> => {
      const place = placeOf(split, index);
      const raw = renamed(await dataset.read(split, place.index), place.variant);
      return place.variant === 0 ? raw : { ...raw, variation: variationOf(place.index, place.variant) };
    },
    close: () => dataset.close(),
  };
}
