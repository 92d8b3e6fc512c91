// A dataset for as long as a job takes.
import type { DatasetOptions } from '../data/indexed.js';
import { openDataset } from '../data/open.js';
import type { Dataset, DataSummary, Splitting } from '../interfaces/index.js';

/** A path (see {@link openDataset}), several archives by paths or globs, or an open dataset. */
export type DataSource = string | readonly string[] | Dataset;

/** How a job opens its dataset. */
export interface DataOptions extends DatasetOptions {
  /** Receives what opening the dataset found, used and left out. */
  onSummary?: (summary: DataSummary) => void;
}

/** Opens a dataset by its path and closes it after the work; one that is open stays so. */
export async function withDataset<T>(
  data: DataSource,
  options: DataOptions,
  work: (dataset: Dataset) => Promise<T>,
): Promise<T> {
  if (isOpen(data)) {
    if (data.summary) options.onSummary?.(data.summary);
    return work(data);
  }
  const { classes, captionTemplate, captions, holdout, splitBy, skipBad, limit } = options;
  const dataset = await openDataset(data, { classes, captionTemplate, captions, holdout, splitBy, skipBad, limit });
  try {
    options.onSummary?.(dataset.summary!);
    return await work(dataset);
  } finally {
    await dataset.close();
  }
}

/** The split that was asked for, if any. */
export function splittingOf({ splitBy, holdout }: Splitting): Splitting | undefined {
  return splitBy === undefined && holdout === undefined
    ? undefined
    : { ...(splitBy !== undefined && { splitBy }), ...(holdout !== undefined && { holdout }) };
}

/** Options with the split that a codec was trained with, unless they ask for one: otherwise its training samples would count as held out. */
export function withSplitOf<O extends Splitting>(training: Record<string, unknown> | undefined, options: O): O {
  const own = training?.split as Splitting | undefined;
  return own === undefined || splittingOf(options) ? options : { ...options, ...splittingOf(own) };
}

function isOpen(data: DataSource): data is Dataset {
  return typeof data !== 'string' && !Array.isArray(data);
}

/** A dataset's source in words. */
export function sourceText(data: DataSource): string {
  if (isOpen(data)) return data.source;
  return typeof data === 'string' ? data : data.join(', ');
}
