// Samples a stage in parallel: all codes are drawn at once, the surest are kept, and the rest are drawn again.
// Source: Chang et al., "MaskGIT: Masked Generative Image Transformer", arXiv:2202.04200, section 3.2.
import type { Predictor, StageContext } from '../model/prior.js';
import type { Rng } from '../rng.js';
import { drawCode, guidedRow, UNKNOWN } from './logits.js';
import type { Draw } from './logits.js';

/** Spread of the noise that is added to the sureness of codes, in nats at the first round; it falls to 0 at the last. */
const NOISE = 4.5;

/**
 * Fills in the codes of each row. The number of codes that are still unknown after a round falls along a cosine.
 *
 * @param rows of the predictor: as many as there are random streams; with guidance twice as many, the latter half
 *   unconditional.
 * @returns int32 [N] for each random stream, in the order of the stage.
 */
export async function refine(
  predictor: Predictor,
  rows: number,
  context: StageContext,
  rounds: number,
  draw: Draw,
): Promise<Int32Array[]> {
  const { known, rngs, vocabSize, onProgress } = draw;
  const length = known.length;
  const sequences = rngs.map(() => known.slice());
  const unknown = known.reduce((count, id) => count + (id === UNKNOWN ? 1 : 0), 0);
  for (let round = 1; round <= rounds; round++) {
    onProgress((round - 1) / rounds);
    const codes = Int32Array.from({ length: rows * length }, (_, i) => {
      const id = sequences[Math.floor(i / length) % rngs.length]![i % length]!;
      return id === UNKNOWN ? vocabSize : id;
    });
    const logits = await predictor.predict(codes, context);
    const left = Math.floor(unknown * Math.cos((Math.PI / 2) * (round / rounds)));
    for (const [row, rng] of rngs.entries()) {
      const rowLogits = (position: number): Float32Array => guidedRow(logits, row * length + position, vocabSize, draw);
      keepSurest(sequences[row]!, rowLogits, draw, rng, round === rounds ? 0 : left, NOISE * (1 - round / rounds));
    }
  }
  onProgress(1);
  return sequences;
}

/** Draws all unknown codes of a row, and forgets the `left` least sure of them again. */
function keepSurest(
  sequence: Int32Array,
  logitsOf: (position: number) => Float32Array,
  { options }: Draw,
  rng: Rng,
  left: number,
  noise: number,
): void {
  const drawn: { position: number; sureness: number }[] = [];
  for (const [position, id] of sequence.entries()) {
    if (id !== UNKNOWN) continue;
    const logits = logitsOf(position);
    const code = drawCode(logits, options, rng);
    sequence[position] = code;
    // Gumbel noise makes the choice of codes to keep a draw of its own, instead of the greediest choice.
    drawn.push({ position, sureness: logProbability(logits, code) - noise * Math.log(-Math.log(rng.uniform())) });
  }
  drawn.sort((a, b) => a.sureness - b.sureness || b.position - a.position);
  for (const { position } of drawn.slice(0, left)) sequence[position] = UNKNOWN;
}

function logProbability(logits: Float32Array, code: number): number {
  const max = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const sum = logits.reduce((total, value) => total + Math.exp(value - max), 0);
  return logits[code]! - max - Math.log(sum);
}
