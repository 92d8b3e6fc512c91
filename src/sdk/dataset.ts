// Opens a dataset for as long as a job takes.
import type { DatasetOptions } from '../data/indexed.js';
import { UsageError } from '../errors.js';
import type { StoredModel } from '../checkpoint/card.js';
import { openDataset } from '../data/open.js';
import type { Dataset, DataSummary, Splitting } from '../interfaces/index.js';
import { codecFamily } from '../registry.js';

/** A path (see {@link openDataset}), several archives by paths or globs, or an open dataset. */
export type DataSource = string | readonly string[] | Dataset;

/** How a job opens its dataset. */
export interface DataOptions extends DatasetOptions {
  /** Called with a summary of what was found, used and left out when the dataset was opened. */
  onSummary?: (summary: DataSummary) => void;
}

/**
 * Opens a dataset by its path and closes it after the work. A dataset that is already open stays open.
 *
 * @throws {UsageError} E_DATA_MEDIUM for an open dataset of another medium than `options.medium`.
 */
export async function withDataset<T>(
  data: DataSource,
  options: DataOptions,
  work: (dataset: Dataset) => Promise<T>,
): Promise<T> {
  if (isOpen(data)) {
    if (options.medium !== undefined && data.medium !== options.medium)
      throw new UsageError(
        'E_DATA_MEDIUM',
        `${data.source}: expected samples of the medium "${options.medium}", which the codec takes, received "${data.medium}".`,
      );
    if (data.summary) options.onSummary?.(data.summary);
    return work(data);
  }
  const { classes, captionTemplate, captions, holdout, splitBy, skipBad, limit, medium } = options;
  const how = { classes, captionTemplate, captions, holdout, splitBy, skipBad, limit, medium };
  const dataset = await openDataset(data, how);
  try {
    options.onSummary?.(dataset.summary!);
    return await work(dataset);
  } finally {
    await dataset.close();
  }
}

/** The requested split, if there is one. */
export function splittingOf({ splitBy, holdout }: Splitting): Splitting | undefined {
  return splitBy === undefined && holdout === undefined
    ? undefined
    : { ...(splitBy !== undefined && { splitBy }), ...(holdout !== undefined && { holdout }) };
}

/**
 * The options for a dataset of a codec: samples of its medium and, unless the options ask for another, the split that it was
 * trained with. Otherwise its training samples would count as held out.
 */
export function dataOptionsFor<O extends DataOptions>({ card }: Pick<StoredModel, 'card'>, options: O): O {
  const own = card.training?.['split'] as Splitting | undefined;
  const split = own === undefined || splittingOf(options) ? {} : splittingOf(own);
  return { ...options, ...split, medium: codecFamily(card.name).medium };
}

function isOpen(data: DataSource): data is Dataset {
  return typeof data !== 'string' && !Array.isArray(data);
}

/** The source of a dataset as text. */
export function sourceText(data: DataSource): string {
  if (isOpen(data)) return data.source;
  return typeof data === 'string' ? data : data.join(', ');
}
