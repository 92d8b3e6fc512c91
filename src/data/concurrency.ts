import { availableParallelism } from 'node:os';

/** Decodes in flight at once: enough to fill the cores, few enough that other work is not queued behind them. */
export const PARALLEL = Math.max(2, availableParallelism());

/** Maps with at most `limit` calls in flight, results in order; the first failure stops the rest. */
export async function mapLimit<T, R>(
  items: readonly T[],
  limit: number,
  map: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      try {
        results[index] = await map(items[index]!, index);
      } catch (error) {
        next = items.length;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  return results;
}
