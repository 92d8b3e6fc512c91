// Generates samples from prompts.
import { expectOptions } from '../arguments.js';
import { readModelCard } from '../checkpoint/model.js';
import type { Media, Prompt, SamplingOptions, Tokens } from '../interfaces/index.js';
import type { MediumCore } from '../media/medium.js';
import { loadCodec, loadPrior } from './models.js';
import { primeCodes } from './prime.js';
import type { PrimeOptions } from './prime.js';
import type { SamplesMade } from './samples-card.js';

export interface GenerateOptions<M extends Media = Media> {
  /** Model directory of the prior. */
  prior: string;
  /** Model directory of the codec. Default: the one the prior carries. */
  codec?: string;
  prompts: readonly Prompt[];
  sampling?: SamplingOptions;
  /** A sample whose beginning all samples continue. */
  prime?: Pick<PrimeOptions, 'sample' | 'rows'>;
  /** The medium that is expected. It gives the type of the samples. */
  medium?: MediumCore<M>;
}

export interface Generated<M extends Media = Media> {
  media: M[];
  tokens: Tokens[];
  /** The prompt of each sample; empty without one. */
  prompts: string[];
  /** How the samples were made, for the card of a folder. */
  made: SamplesMade;
}

/**
 * Draws `sampling.n` samples for each prompt.
 *
 * @throws {CorruptError} E_CODEC_MISMATCH for a codec the prior was not trained for. @throws {UsageError} for prompts and
 *   options, E_DATA_MEDIUM, E_PRIME.
 */
export async function generate<M extends Media = Media>(options: GenerateOptions<M>): Promise<Generated<M>> {
  expectOptions('generate', options, { paths: ['prior'] });
  const { prior: directory, codec: codecDirectory, prompts, sampling = {}, prime, medium } = options;
  const primed = prime
    ? { ...sampling, prime: await primeCodes({ prior: directory, codec: codecDirectory, ...prime }) }
    : sampling;
  const prior = await loadPrior(directory);
  try {
    const codec = await loadCodec(codecDirectory ?? directory, { medium });
    try {
      prior.expectCodec(codec.fingerprint);
      const tokens = await prior.generate(prompts, primed);
      const media = await codec.decode(tokens);
      const n = sampling.n ?? 1;
      return {
        media,
        tokens,
        prompts: tokens.map((_, i) => String(prompts[Math.floor(i / n)] ?? '')),
        made: {
          command: 'generate',
          medium: codec.kind,
          samples: media.length,
          codec: codec.fingerprint,
          prior: readModelCard(directory).fingerprint,
          prompts: prompts.flatMap((prompt) => (prompt === null ? [] : [String(prompt)])),
          sampling: { ...plainValues(sampling), ...(typeof prime?.sample === 'string' && { prime: prime.sample }) },
        },
      };
    } finally {
      codec.dispose();
    }
  } finally {
    prior.dispose();
  }
}

/** The options that are numbers or texts. */
function plainValues(options: SamplingOptions): Record<string, number | string> {
  return Object.fromEntries(
    Object.entries(options).filter(
      (entry): entry is [string, number | string] => typeof entry[1] === 'number' || typeof entry[1] === 'string',
    ),
  );
}
