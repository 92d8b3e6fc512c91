// What the measures of runs are called on pages, and what they mean.
import type { AnyMedium } from '../media/medium.js';
import { capitalized } from './format.js';

/** A measure for people. */
export interface Measure {
  /** Name in cards and metrics: `nmse`, `coarse.usage`. */
  name: string;
  label: string;
  /** One or two sentences. */
  meaning: string;
}

/** Measures that are not those of a medium, by name: label and meaning. */
const KNOWN: Readonly<Record<string, readonly [label: string, meaning: string]>> = {
  samples: ['Held-out samples', 'Samples that training never saw. All figures of this page are measured on them.'],
  loss: ['Loss', 'What training minimizes. Its value can be compared only between runs with the same settings.'],
  nmse: [
    'NMSE',
    'Squared error of the reconstructions divided by the variance of the data. 0 is perfect; 1 is as bad as a constant gray.',
  ],
  reconstructionLoss: ['Reconstruction loss', 'The part of the loss that compares reconstructions with originals.'],
  gradientNorm: [
    'Gradient norm',
    'Length of the gradient before clipping. Sudden jumps mean that the learning rate is too high.',
  ],
  usage: ['Codes in use', 'Share of the codebook that occurs at least once in the held-out split.'],
  perplexity: [
    'Perplexity',
    'Number of codes that, if all were equally frequent, would carry as much information. At most the size of the codebook.',
  ],
  entropyRatio: [
    'Entropy ratio',
    'Entropy of the codes divided by that of equally frequent codes. 1 means that the codebook is used evenly.',
  ],
  entropy: ['Entropy, bits', 'Bits that a code carries on average, by how often each code occurs.'],
  natsPerCode: [
    'Nats per code',
    'How surprising each held-out code is to the prior: the mean negative logarithm of its probability. Lower is better.',
  ],
  bitsPerCode: ['Bits per code', 'Nats per code in bits: what a perfect compressor would need with this prior.'],
  accuracy: ['First choice correct', 'Share of held-out codes that the prior considers the most likely.'],
  bitsPerDim: ['Bits per value', 'Bound on the bits for each value of a sample: reconstruction and latents together.'],
  klBits: ['Bits of the latents', 'Bits that the latents of a sample carry, by their divergence from the prior.'],
  klBitsPerDim: ['Bits of the latents per value', 'Bits that the latents carry, for each value of a sample.'],
  perceptual: ['Perceptual loss', 'Distance of originals and reconstructions in the features of a trained network.'],
  adversarial: ['Adversarial loss', 'How well the discriminator tells reconstructions from originals.'],
  lambda: ['Adversarial weight', 'Factor that balances the adversarial loss against the others.'],
  rfid: [
    'rFID',
    'Distance of the distributions of originals and reconstructions in the features of a trained network. Lower is better.',
  ],
  encodedPerSecond: [
    'Encoded per second',
    'Samples in memory that become codes in a second, on the machine of this page.',
  ],
};

/** The measure of a name. `coarse.usage` is the usage of the map or stage `coarse`. */
export function measureOf(name: string, medium?: AnyMedium): Measure {
  const dot = name.lastIndexOf('.');
  if (dot > 0) {
    const { label, meaning } = measureOf(name.slice(dot + 1), medium);
    return { name, label: `${name.slice(0, dot)}: ${uncapitalized(label)}`, meaning };
  }
  const figure = medium?.figures.find((one) => one.name === name);
  if (figure) return { name, label: capitalized(figure.label), meaning: figure.meaning };
  const known = Object.hasOwn(KNOWN, name) ? KNOWN[name] : undefined;
  if (known) return { name, label: known[0], meaning: known[1] };
  return { name, label: capitalized(words(name)), meaning: 'A measure of this family; see its documentation.' };
}

/** The measures of the rate, by its unit: at fixed length, and by the entropy of the codes. */
export function rateMeasures({ rate: { name, label } }: AnyMedium): { nominal: Measure; empirical: Measure } {
  return {
    nominal: {
      name,
      label: capitalized(label),
      meaning: `Size of the codes if each one takes the same number of bits, log2 of the codebook's size.`,
    },
    empirical: {
      name: `${name}ByEntropy`,
      label: `${capitalized(label)}, by entropy`,
      meaning: 'Size of the codes if frequent ones are written shorter, by how often each occurs.',
    },
  };
}

/** `codebookLoss` -> `codebook loss`. */
const words = (name: string): string =>
  name.replace(/([a-z0-9])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`);

/** Lowers the first letter, unless the word is an abbreviation. */
const uncapitalized = (text: string): string =>
  /^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
