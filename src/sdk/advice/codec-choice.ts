// Which settings of a codec suit which images. Equal data give equal settings on every machine, so that a run can be repeated.
import { formatCount } from '../../report/format.js';
import type { PictureSurvey } from './pictures.js';

export interface CodecChoice {
  settings: { codec: string; config: CodecConfig; training: CodecTrainingSettings };
  reasons: string[];
  warnings: string[];
}

/** Settings of the codec `vqvae`. */
export interface CodecConfig {
  height: number;
  width: number;
  channels: 1 | 3;
  background: [number, number, number];
  resize: 'cover' | 'contain';
  downsample: number;
  strides: number[];
  hidden: number;
  residualLayers: number;
  residualHidden: number;
  quantizer: { codebookSize: number; codeDim: number; emaDecay: number; restartBelow?: number; rateWeight?: number };
}

export interface CodecTrainingSettings {
  steps: number;
  batchSize: number;
  learningRate: number;
  warmupSteps: number;
  finalFraction: number;
  evalEvery: number;
  checkpointEvery: number;
}

/** Longer side of the codec's images, in pixels: more takes hours on a CPU. */
const LONGEST = 64;
/** Images of other sizes than the codec's are brought to a multiple of this. */
const MULTIPLE = 8;
const SHORTEST = 16;
/** Fewer codes than this say too little of an image. */
const FEWEST_CODES = 49;
/** Number of images below which a training has too little variety for a large vocabulary, and above which it has plenty. */
const FEW = 1000;
const MANY = 20_000;
/** After this many passes over the images, further steps improve little. */
const MOST_EPOCHS = 150;
const FEWEST_STEPS = 500;

/** Picks the settings of a codec. */
export function chooseCodec(survey: PictureSurvey): CodecChoice {
  const [height, width] = codecSize(survey);
  const downsample = cellOf(height, width);
  const codes = (height / downsample) * (width / downsample);
  const codebookSize = vocabularyOf(survey);
  const config = { ...networkOf(survey, downsample, codebookSize), height, width, ...framingOf(survey), downsample };
  const training = trainingOf(survey, height * width);
  return {
    settings: { codec: 'vqvae', config: ordered(config), training },
    reasons: [
      `${formatCount(survey.count.train)} training images, ${survey.gray ? 'gray' : 'color'}, ${survey.sameSize ? '' : 'typically '}${survey.width}x${survey.height} pixels, so the codec takes ${width}x${height} pixels${sizeReason(survey, width, height)}${config.channels === 1 ? ' and one channel' : ''}`,
      `${width / downsample}x${height / downsample} = ${codes} codes of ${downsample}x${downsample} pixels, from a vocabulary of ${formatCount(codebookSize)}, which suits ${survey.count.train < FEW ? 'few' : survey.count.train < MANY ? 'thousands of' : 'many'} images`,
      `${formatCount(training.steps)} steps of ${training.batchSize} images${training.steps < baseSteps(survey, height * width) ? `, ${MOST_EPOCHS} passes over them` : ''}`,
    ],
    warnings:
      survey.count.train < FEW
        ? [
            `${formatCount(survey.count.train)} training images are few: new images will look blurrier than these. Remedy: add images, or start from a trained codec with --from.`,
          ]
        : [],
  };
}

function sizeReason({ width, height }: PictureSurvey, codecWidth: number, codecHeight: number): string {
  if (width === codecWidth && height === codecHeight) return '';
  return Math.max(width, height) > LONGEST
    ? ` (more takes hours on a CPU; --config sets another size)`
    : ` (a multiple of ${MULTIPLE})`;
}

/** Height and width of the codec's images: those of the data if all are small and alike, otherwise near their median. */
function codecSize({ width, height, sameSize, sameAspect, border }: PictureSurvey): [number, number] {
  const isWhole = width % 4 === 0 && height % 4 === 0 && Math.min(width, height) >= MULTIPLE;
  if (sameSize && isWhole && Math.max(width, height) <= LONGEST) return [height, width];
  const rounded = (extent: number): number =>
    Math.min(LONGEST, Math.max(SHORTEST, MULTIPLE * Math.round(extent / MULTIPLE)));
  const longer = rounded(Math.max(width, height));
  const aspect = width / height;
  if (sameAspect && (aspect > 1.1 || aspect < 0.9)) {
    const shorter = rounded(longer * Math.min(aspect, 1 / aspect));
    return aspect > 1 ? [shorter, longer] : [longer, shorter];
  }
  // Padding keeps the whole of the longer side, cutting that of the shorter side.
  const side = border === 'none' && !sameAspect ? rounded(Math.min(width, height)) : longer;
  return [side, side];
}

/** Pixels along each side of a code: the most that leaves enough codes. */
const cellOf = (height: number, width: number): number => ((height / 4) * (width / 4) >= FEWEST_CODES ? 4 : 2);

function vocabularyOf({ gray, count }: PictureSurvey): number {
  if (gray) return count.train < 100_000 ? 128 : 256;
  return count.train < FEW ? 256 : count.train < MANY ? 512 : 1024;
}

/** How images of another shape are fitted: drawings on a plain ground are padded, photographs are cut. */
function framingOf({ border, sameAspect }: PictureSurvey): Pick<CodecConfig, 'background' | 'resize'> {
  const value = border === 'dark' ? 0 : 255;
  return { background: [value, value, value], resize: border === 'none' || sameAspect ? 'cover' : 'contain' };
}

/** The networks of the presets `gray-28` and `color-32`. */
function networkOf(
  { gray }: PictureSurvey,
  downsample: number,
  codebookSize: number,
): Omit<CodecConfig, 'height' | 'width' | 'background' | 'resize' | 'downsample'> {
  return gray
    ? {
        channels: 1,
        strides: downsample === 4 ? [2, 2] : [2],
        hidden: 64,
        residualLayers: 2,
        residualHidden: 32,
        quantizer: { codebookSize, codeDim: 16, emaDecay: 0.98, restartBelow: 0.02, rateWeight: 0.7 },
      }
    : {
        channels: 3,
        strides: [downsample],
        hidden: 128,
        residualLayers: 2,
        residualHidden: 128,
        quantizer: { codebookSize, codeDim: 8, emaDecay: 0.97 },
      };
}

/** Images of at most this many pixels are small: twice as many fit into a step of the same time. */
const SMALL = 40 * 40;

/** Steps that take minutes on two cores of a CPU. */
const baseSteps = ({ gray }: PictureSurvey, pixels: number): number => (gray ? 3000 : pixels <= SMALL ? 4000 : 2500);

function trainingOf(survey: PictureSurvey, pixels: number): CodecTrainingSettings {
  const isSmall = pixels <= SMALL;
  const batchSize = survey.gray ? 64 : isSmall ? 32 : 16;
  const learningRate = survey.gray ? 1.5e-3 : isSmall ? 2e-3 : 1e-3;
  const useful = Math.max(FEWEST_STEPS, 100 * Math.round((MOST_EPOCHS * survey.count.train) / batchSize / 100));
  const steps = Math.min(baseSteps(survey, pixels), useful);
  const every = Math.ceil(steps / 5);
  return {
    steps,
    batchSize,
    learningRate,
    warmupSteps: 100,
    finalFraction: 0.02,
    evalEvery: every,
    checkpointEvery: every,
  };
}

/** In the order of the presets. */
const ordered = ({ height, width, channels, background, resize, downsample, ...rest }: CodecConfig): CodecConfig => ({
  height,
  width,
  channels,
  background,
  resize,
  downsample,
  ...rest,
});
