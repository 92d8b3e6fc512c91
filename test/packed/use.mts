// Compiled against the installed package, declarations included, under options stricter than the package's own.
import { loadCodec as loadCodecFiles, toRgba } from 'tesserae/browser';
import type { LoadedCodec, ModelFiles } from 'tesserae/browser';
import { ENGINES } from 'tesserae/engine';
import { generate, loadCodec, memoryDataset, trainCodec, writeImages } from 'tesserae';
import type { Image, Prior, Sample, TrainCodecOptions } from 'tesserae';

const pictures: Promise<{ images: Image[] }> = generate({ prior: 'p', prompts: ['a'] });
const fromBytes: (files: ModelFiles) => Promise<LoadedCodec> = loadCodecFiles;
const pixels: (image: Image) => Uint8ClampedArray = toRgba;
const options: TrainCodecOptions = { data: memoryDataset([] as Sample[]), out: 'o' };
const classes: (prior: Prior) => readonly string[] | undefined = (prior) => prior.classes;

export { ENGINES, classes, fromBytes, loadCodec, options, pictures, pixels, trainCodec, writeImages };
