// The warning of commands that compute rFID.
import type { CodecEvaluation } from '../sdk/evaluate.js';
import type { Session } from './session.js';

/** Prints a warning if rFID is estimated from too few samples. */
export async function noteFewSamples(
  session: Session,
  { samples, features }: Pick<CodecEvaluation, 'samples' | 'features'>,
): Promise<void> {
  const { frechetBias } = await import('../metrics/frechet.js');
  const bias = features && frechetBias(samples, features.dimension);
  if (bias !== undefined) session.note(bias);
}
