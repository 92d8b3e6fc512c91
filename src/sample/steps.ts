// Samples a stage code by code.
import type { Decoder, StageContext } from '../model/prior.js';
import { drawCode, guidedRow, UNKNOWN } from './logits.js';
import type { Draw } from './logits.js';

/**
 * Draws the codes of each row, one after another.
 *
 * @param decoder of as many rows as there are random streams; with guidance twice as many, the latter half unconditional.
 * @returns int32 [N] for each random stream, in the order of the stage.
 */
export async function appendCodes(decoder: Decoder, context: StageContext, draw: Draw): Promise<Int32Array[]> {
  const { known, rngs, options, vocabSize, cfg, onProgress } = draw;
  const length = known.length;
  const sequences = rngs.map(() => new Int32Array(length));
  const chosen = new Int32Array(cfg === 1 ? rngs.length : 2 * rngs.length);
  let logits = await decoder.start(context);
  for (let position = 0; position < length; position++) {
    onProgress(position / length);
    for (const [row, rng] of rngs.entries()) {
      const id =
        known[position] === UNKNOWN
          ? drawCode(guidedRow(logits, row, vocabSize, draw), options, rng)
          : known[position]!;
      sequences[row]![position] = id;
      for (let copy = row; copy < chosen.length; copy += rngs.length) chosen[copy] = id;
    }
    if (position < length - 1) logits = await decoder.step(chosen);
  }
  onProgress(1);
  return sequences;
}
