// Compiled against the installed package, declarations included, under options stricter than the package's own.
import { loadCodec as loadCodecFiles, toRgba } from 'tesserae/browser';
import type { LoadedCodec, ModelFiles } from 'tesserae/browser';
import { ENGINES } from 'tesserae/engine';
import { generate, imageMedium, loadCodec, loadPrior, memoryDataset, trainCodec, writeMedia } from 'tesserae';
import { conv, tf } from 'tesserae/nn';
import type { Layer } from 'tesserae/nn';
import type { Image, Prior, Sample, TrainCodecOptions } from 'tesserae';

const images: Promise<{ media: Image[] }> = generate({ prior: 'p', prompts: ['a'], medium: imageMedium });
const layer: Layer = conv(3, 8, 16);
const fromBytes: (files: ModelFiles) => Promise<LoadedCodec> = loadCodecFiles;
const pixels: (image: Image) => Uint8ClampedArray = toRgba;
const options: TrainCodecOptions = { data: memoryDataset([] as Sample[]), out: 'o' };
async function drawn(): Promise<Image[]> {
  using prior = await loadPrior('p');
  const { media } = await generate({ prior, prompts: [null], sampling: { n: 2 }, medium: imageMedium });
  return media;
}
const scaled: Layer = { ...layer, apply: (p, x) => tf.mul(layer.apply(p, x), 2) };
const classes: (prior: Prior) => readonly string[] | undefined = (prior) => prior.classes;

export {
  ENGINES,
  classes,
  drawn,
  fromBytes,
  loadCodec,
  images,
  layer,
  options,
  pixels,
  scaled,
  trainCodec,
  writeMedia,
};
