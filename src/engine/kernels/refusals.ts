/** Alternatives to kernels that cannot be lowered, because a graph has fixed shapes and no hidden randomness. */
export const REMEDIES: Readonly<Record<string, string>> = {
  Multinomial:
    'Draw with randomUniform and a key argument: argMax(logits - log(-log(u))) is a sample (the Gumbel trick).',
  Unique: 'The shape of its result is not known in advance: count with bincount or compare with a range.',
  Where: 'The shape of its result is not known in advance: use tf.where with three arguments.',
  FFT: 'Multiply by a constant matrix of cosines and sines.',
  IFFT: 'Multiply by a constant matrix of cosines and sines.',
  Complex: 'Keep real and imaginary parts in two tensors.',
};
