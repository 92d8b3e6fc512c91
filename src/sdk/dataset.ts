// A dataset for as long as a job takes.
import type { DatasetOptions } from '../data/indexed.js';
import { openDataset } from '../data/open.js';
import type { Dataset } from '../interfaces/index.js';

/** Opens a dataset by its path and closes it after the work; one that is open stays so. */
export async function withDataset<T>(data: string | Dataset, { classes, captionTemplate, holdout, limit }: DatasetOptions, work: (dataset: Dataset) => Promise<T>): Promise<T> {
  if (typeof data !== 'string') return work(data);
  const dataset = await openDataset(data, { classes, captionTemplate, holdout, limit });
  try {
    return await work(dataset);
  } finally {
    await dataset.close();
  }
}
