// What a run starts from: settings in a file, or a trained model.
import type { StoredModel } from '../checkpoint/card.js';
import { UsageError } from '../errors.js';
import type { ParamSpecs } from '../model/params.js';
import type { TrainOptions } from './train-options.js';

/** Parses settings. Errors name the file that they are in. */
export function parsed<T>({ config }: TrainOptions, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (config === undefined || !(error instanceof UsageError) || error.code !== 'E_CONFIG') throw error;
    throw new UsageError('E_CONFIG', `${config}: ${error.detail}`, { cause: error });
  }
}

/** The family and the settings that a run has: those of the model that it starts from, unless others are named. */
export function startOf(
  { from, preset, config }: TrainOptions,
  source: StoredModel | undefined,
  named: { name: string; config: Record<string, unknown> },
): { name: string; config: Record<string, unknown> } {
  if (!source) return named;
  const { name, config: own } = source.card;
  if (preset === undefined && config === undefined) return { name, config: own };
  if (named.name !== name)
    throw new UsageError(
      'E_FROM',
      `--from ${from}: expected a model of ${named.name}, which the settings name, found ${name}. Leave out the settings to use those of the model.`,
    );
  return { name, config: { ...own, ...named.config } };
}

/** @throws {UsageError} E_FROM unless the weights of a model are those that the settings ask for, in names and shapes. */
export function expectWeights(from: string, specs: ParamSpecs, { tensors }: StoredModel): void {
  for (const name of new Set([...Object.keys(specs), ...Object.keys(tensors)])) {
    const [wanted, found] = [specs[name]?.shape, tensors[name]?.shape].map((shape) =>
      shape === undefined ? 'none' : `[${shape.join(', ')}]`,
    );
    if (wanted !== found)
      throw new UsageError(
        'E_FROM',
        `--from ${from}: expected weights "${name}" of shape ${wanted}, as the settings say, found ${found}. Only settings that leave the weights alone can change, such as the size of images; train from scratch for others.`,
      );
  }
}
