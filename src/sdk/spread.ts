/** At most `most` of the indices below `size`, evenly spread, in order. */
export function spreadIndices(size: number, most: number): number[] {
  const count = Math.min(most, size);
  return Array.from({ length: count }, (_, i) => Math.floor((i * size) / count));
}
