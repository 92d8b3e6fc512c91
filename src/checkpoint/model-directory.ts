// Whether a directory is that of a model. It stands apart from what reads models, so that looking for them loads nothing else.
import { join } from 'node:path';
import { hasJournal } from '../files/journal.js';
import { guarded, nodeFiles } from '../files/system.js';
import type { FileSystem } from '../files/system.js';
import { CARD } from './card-file.js';

/** Whether a directory contains a model, or one whose save was interrupted after its bytes were durable. Links count; reading refuses them. */
export function isModelDirectory(directory: string, files: FileSystem = nodeFiles): boolean {
  return (
    guarded(directory, 'reading', () => files.status(join(directory, CARD)) !== undefined) ||
    hasJournal(directory, files)
  );
}
