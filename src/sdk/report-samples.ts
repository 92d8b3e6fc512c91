// Draws the samples of a prior's report, and finds real ones to stand beside them.
import type { Media, Prompt, Tokens } from '../interfaces/index.js';
import { fullMedium } from '../media/node.js';
import type { ShardReader } from '../shards/reader.js';
import type { DrawnSamples } from '../train/report.js';
import type { LoadedCodec } from './codec.js';
import type { LoadedPrior } from './prior.js';
import { spreadIndices } from './spread.js';

/** Maximum number of samples in a prior's report. */
const REPORTED = 24;

/** Maximum number of held-out samples that are read. */
const SEARCHED = 2000;

/** A prompt and a held-out sample of it. */
interface Asked {
  prompt: Prompt;
  tokens?: Tokens;
}

/**
 * Draws samples, one each for some of the prompts a prior knows: captions and classes of held-out samples, which stand beside
 * them; without any, those of training. The prior is disposed.
 *
 * @param captions those of training.
 */
export async function drawSamples(
  prior: LoadedPrior,
  codec: LoadedCodec,
  tokens: ShardReader,
  captions: readonly string[],
): Promise<DrawnSamples> {
  try {
    const asked = await askedOf(prior, tokens, captions);
    const prompts = asked.map(({ prompt }) => prompt);
    const media = await codec.decode(await prior.generate(prompts, { seed: 0, tooLong: 'cut' }));
    const found = asked.flatMap((one) => (one.tokens ? [one.tokens] : []));
    const decoded: Media[] = found.length > 0 ? await codec.decode(found) : [];
    return {
      medium: fullMedium(codec.kind),
      media,
      prompts: prompts.map((prompt) => String(prompt ?? '')),
      real: asked.map((one) => (one.tokens ? decoded[found.indexOf(one.tokens)] : undefined)),
    };
  } finally {
    prior.dispose();
  }
}

async function askedOf(prior: LoadedPrior, tokens: ShardReader, captions: readonly string[]): Promise<Asked[]> {
  const heldOut = await firstOfEach(tokens, prior);
  if (prior.conditioning === 'label')
    return spread(prior.classes ?? [], REPORTED).map((prompt) => ({ prompt, tokens: heldOut.get(prompt) }));
  if (heldOut.size > 0)
    return spread([...heldOut], REPORTED).map(([name, found]) => ({ prompt: promptOf(prior, name), tokens: found }));
  if (prior.conditioning === 'text') return spread(captions, REPORTED).map((prompt) => ({ prompt }));
  return Array.from({ length: REPORTED }, () => ({ prompt: null }));
}

const promptOf = ({ conditioning }: LoadedPrior, name: string): Prompt => (conditioning === 'none' ? null : name);

/** The first held-out sample of each caption or class; without conditioning, of each key. */
async function firstOfEach(tokens: ShardReader, { conditioning, classes }: LoadedPrior): Promise<Map<string, Tokens>> {
  const found = new Map<string, Tokens>();
  for (const index of spreadIndices(tokens.size('test'), SEARCHED)) {
    const sample = await tokens.read('test', index);
    const name =
      conditioning === 'text'
        ? sample.captions[0]
        : conditioning === 'label'
          ? sample.label === undefined
            ? undefined
            : (tokens.classes ?? classes)?.[sample.label]
          : sample.key;
    if (name !== undefined && name !== '' && !found.has(name)) found.set(name, sample.tokens);
    if (conditioning === 'none' && found.size >= REPORTED) break;
    if (conditioning === 'label' && found.size === classes?.length) break;
  }
  return found;
}

/** At most `most` items, evenly spread. */
const spread = <T>(items: readonly T[], most: number): T[] =>
  spreadIndices(items.length, most).map((index) => items[index]!);
