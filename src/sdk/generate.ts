// Generates samples from prompts.
import { expectOptions, namesOf } from '../arguments.js';
import type { CallOptions, Media, Prompt, SamplingOptions, Tokens } from '../interfaces/index.js';
import type { MediumCore } from '../media/medium.js';
import { beginningOf } from './prime.js';
import type { PrimeOptions } from './prime.js';
import { checkCall, checkSampling, withDefaults } from './prior.js';
import type { SamplesMade } from './samples-card.js';
import { expectModelSource, withCodecOf, withPrior } from './sources.js';
import type { CodecSource, PriorSource } from './sources.js';

export interface GenerateOptions<M extends Media = Media> extends CallOptions {
  /** The prior. One that is loaded once answers many calls in a fraction of the time. */
  prior: PriorSource;
  /** Default: the codec that the prior carries. */
  codec?: CodecSource;
  prompts: readonly Prompt[];
  sampling?: SamplingOptions;
  /** A sample whose beginning all samples continue. */
  prime?: Pick<PrimeOptions, 'sample' | 'rows'>;
  /** The medium that is expected. It gives the type of the samples. */
  medium?: MediumCore<M>;
}

const OPTIONS = namesOf<GenerateOptions>({
  prior: true,
  codec: true,
  prompts: true,
  sampling: true,
  prime: true,
  medium: true,
  signal: true,
  onProgress: true,
  onNote: true,
});

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
  expectOptions('generate', options, { known: OPTIONS });
  const { prior: source, codec: codecSource, prompts, sampling = {}, prime, medium } = options;
  const { signal, onProgress, onNote } = options;
  checkSampling(sampling);
  checkCall(options);
  expectModelSource('generate: prior', source, 'prior');
  if (codecSource !== undefined) expectModelSource('generate: codec', codecSource, 'codec');
  return withPrior(source, (prior) =>
    withCodecOf(prior, codecSource, { medium }, async (codec) => {
      prior.expectCodec(codec.fingerprint);
      const primed = prime ? { ...sampling, prime: await beginningOf(prior.card, codec, prime) } : sampling;
      const tokens = await prior.generate(prompts, { ...primed, signal, onProgress, onNote });
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
          prior: prior.fingerprint,
          prompts: prompts.flatMap((prompt) => (prompt === null ? [] : [String(prompt)])),
          sampling: {
            ...plainValues(withDefaults(sampling, prior.sampling)),
            ...(typeof prime?.sample === 'string' && { prime: prime.sample }),
          },
        },
      };
    }),
  );
}

/** The options that are numbers or texts. */
function plainValues(options: SamplingOptions): Record<string, number | string> {
  return Object.fromEntries(
    Object.entries(options).filter(
      (entry): entry is [string, number | string] => typeof entry[1] === 'number' || typeof entry[1] === 'string',
    ),
  );
}
