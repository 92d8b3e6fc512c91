/**
 * Maximum number of concurrent decodes: the number of libuv's threads. More would only wait in the queue, and the
 * engine's work, which runs on the same threads, would wait behind them.
 */
export const PARALLEL = Math.max(2, Number(process.env['UV_THREADPOOL_SIZE']) || 4);

/**
 * Maps items with at most `limit` concurrent calls and returns the results in order. After a failure, no further calls
 * start.
 */
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
