/** What to do instead of some kernels that a graph of fixed shapes and no hidden randomness cannot hold. */
export const REMEDIES: Readonly<Record<string, string>> = {
  Multinomial:
    'Draw with randomUniform and a key argument: argMax(logits - log(-log(u))) is a sample (the Gumbel trick).',
  Unique: 'Its result has no shape that is known beforehand: count with bincount or compare with a range.',
  Where: 'Its result has no shape that is known beforehand: use tf.where with three arguments.',
  FFT: 'Multiply by a constant matrix of cosines and sines.',
  IFFT: 'Multiply by a constant matrix of cosines and sines.',
  Complex: 'Keep real and imaginary parts in two tensors.',
};
