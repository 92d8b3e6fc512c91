// How far the networks of picture codecs see.
import { stridesOf } from './networks.js';
import type { Network } from './networks.js';

/**
 * How far an encoder sees beyond a code's own cell, in pixels of the picture.
 *
 * A 3x3 convolution adds one cell of its resolution; a strided one, of a kernel of twice its stride, half a cell of what
 * it gives. Attention and group norm see everything: undefined.
 *
 * @param scale pixels of the picture to one of the encoder's input.
 */
export function encoderReach(n: Network, scale = 1): number | undefined {
  if (seesEverything(n)) return undefined;
  let cell = scale;
  let reach = n.stem > 0 ? (1 + n.blocksPerStage) * cell : 0;
  const strides = stridesOf(n);
  for (const [i, stride] of strides.entries()) {
    reach += (stride / 2) * cell;
    cell *= stride;
    if (i < strides.length - 1) reach += n.blocksPerStage * cell;
  }
  return reach + (1 + n.residualLayers) * cell;
}

/** How far a decoder sees beyond a pixel's own cell, as {@link encoderReach}. A transposed convolution adds one cell of what it gets. */
export function decoderReach(n: Network, scale = 1): number | undefined {
  if (seesEverything(n)) return undefined;
  let cell = scale * n.downsample;
  let reach = (1 + n.residualLayers) * cell;
  for (const stride of stridesOf(n).toReversed()) {
    const fine = cell / stride;
    const blocks = fine === scale && n.stem === 0 ? 0 : n.blocksPerStage;
    reach += (n.upsample === 'transposed' ? cell : fine) + blocks * fine;
    cell = fine;
  }
  return n.stem > 0 ? reach + cell : reach;
}

/** The larger of the reaches of encoder and decoder, in pixels. */
export function networkReach(n: Network): number | undefined {
  const [encoder, decoder] = [encoderReach(n), decoderReach(n)];
  return encoder === undefined || decoder === undefined ? undefined : Math.max(encoder, decoder);
}

const seesEverything = ({ norm, attentionHeads }: Network): boolean => norm === 'group' || attentionHeads > 0;
