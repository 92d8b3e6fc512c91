// Several augmented variants of every training sample, so that data computed once (tokens) still vary.
import { UsageError } from '../errors.js';
import { canonicalJson } from '../json.js';
import { sha256 } from '../hash.js';
import type { Dataset, RawSample, Split, Variation } from '../interfaces/dataset.js';
import { mediumNamed } from '../media/registry.js';
import { Rng } from '../rng.js';
import { drawn } from './augment.js';

export interface VariantOptions {
  /** Number of variants of each training sample. The first is the unchanged sample. */
  count: number;
  /** Mirrors every second variant along its last axis: images left to right. */
  flip?: boolean;
  /** Shifts variants by up to this many positions along each axis. */
  crop?: number;
  /** Seed for the random shifts. */
  seed: number;
}

/**
 * Returns a dataset whose training split contains every sample `count` times. Variant `v` of sample `i` has index `v *
 * size + i` and, from the second variant on, the key `KEY~v`. Samples are varied when they are decoded. The held-out
 * split is unchanged.
 *
 * @throws {UsageError} E_DATA_OPTIONS when there are not that many different variants.
 */
export function withVariants(dataset: Dataset, options: VariantOptions): Dataset {
  const { count, flip = false, crop = 0, seed } = options;
  const different = crop > 0 ? Infinity : flip ? 2 : 1;
  if (count > different)
    throw new UsageError(
      'E_DATA_OPTIONS',
      `variants: expected at most ${different} ${flip ? 'with flip alone' : 'without flip or crop'}, received ${count}. Add crop to shift them.`,
    );
  if (count === 1) return dataset;
  const size = dataset.size('train');
  const axes = mediumNamed(dataset.medium).axes.length;
  const placeOf = (split: Split, index: number): { index: number; variant: number } =>
    split === 'train' ? { index: index % size, variant: Math.floor(index / size) } : { index, variant: 0 };
  const renamed = <T extends { key: string }>(described: T, variant: number): T =>
    variant === 0 ? described : { ...described, key: `${described.key}~${variant}` };
  const variationOf = (index: number, variant: number): Variation => {
    const rng = new Rng(seed, `variant/${variant}`, index);
    const shift = (): number => rng.int(2 * crop + 1) - crop;
    return { mirrored: flip && variant % 2 === 1, shift: drawn(axes, shift) };
  };
  return {
    kind: dataset.kind,
    medium: dataset.medium,
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
