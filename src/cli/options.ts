// Options shared by several commands, and the validation of their values before anything expensive is loaded.
import { Option } from 'commander';
import type { Command } from 'commander';
import { SPLIT_CHOICES } from '../arguments.js';
import { UsageError } from '../errors.js';
import { DEFAULT_SCALING, FEATURE_SCALINGS } from '../features/scaling.js';
import type { FeatureScaling } from '../features/scaling.js';

interface Range {
  /** Lower bound; `above` excludes the bound itself. */
  min?: number;
  above?: number;
  max?: number;
  below?: number;
  whole?: boolean;
}

/** Creates an option whose value is a number in a range. @throws {UsageError} E_OPTION naming the flag. */
export function numberOption(flags: string, description: string, range: Range): Option {
  const name = flags.split(/[ ,]+/).find((part) => part.startsWith('--'))!;
  return new Option(flags, description).argParser((text) => {
    const value = Number(text);
    if (text.trim() === '' || !isWithin(value, range))
      throw new UsageError('E_OPTION', `${name}: expected ${rangeText(range)}, received "${text}".`);
    return value;
  });
}

function isWithin(value: number, { min, above, max, below, whole }: Range): boolean {
  if (!Number.isFinite(value) || (whole && !Number.isSafeInteger(value))) return false;
  return !(
    value < (min ?? -Infinity) ||
    value <= (above ?? -Infinity) ||
    value > (max ?? Infinity) ||
    value >= (below ?? Infinity)
  );
}

function rangeText({ min, above, max, below, whole }: Range): string {
  const limits = [
    min !== undefined && `of at least ${min}`,
    above !== undefined && `above ${above}`,
    max !== undefined && `at most ${max}`,
    below !== undefined && `below ${below}`,
  ].filter((limit) => limit !== false);
  return `a ${whole ? 'whole number' : 'number'}${limits.length > 0 ? ` ${limits.join(' and ')}` : ''}`;
}

/** Creates an option whose value is a list of distinct names. @throws {UsageError} E_OPTION naming the flag. */
export function listOption(flags: string, description: string): Option {
  const name = flags.split(' ')[0]!;
  return new Option(flags, description).argParser((text) => {
    const items = text.split(',').map((item) => item.trim());
    if (items.includes('') || new Set(items).size !== items.length) {
      throw new UsageError('E_OPTION', `${name}: expected distinct names separated by commas, received "${text}".`);
    }
    return items;
  });
}

/** How to read a media dataset. */
export interface DataFlags {
  captions?: string;
  splitBy?: 'name' | 'folder' | 'hash';
  holdout?: number;
  classes?: string[];
  captionTemplate?: string;
  limit?: number;
}

export function addDataOptions(command: Command): Command {
  return command
    .option(
      '--captions <SOURCE>',
      'caption source: a metadata column, a file extension such as .caption, or "filename" (default: the usual columns and extensions)',
    )
    .addOption(
      new Option(
        '--split-by <WHERE>',
        'where to look for the split: names of files and archives, folders, or a hash of the sample name (default: names, then folders, then hash)',
      ).choices(['name', 'folder', 'hash']),
    )
    .addOption(
      numberOption('--holdout <F>', 'fraction to hold out by hash; 0 disables it (default: 0.1)', { min: 0, below: 1 }),
    )
    .addOption(listOption('--classes <A,B,C>', 'class names, in label order'))
    .addOption(
      new Option(
        '--caption-template <TEXT>',
        'caption for labeled samples that have none (default: "a photo of a {label}")',
      ).argParser(captionTemplate),
    )
    .addOption(numberOption('--limit <N>', 'use only the first N samples of each split', { min: 1, whole: true }));
}

/**
 * Creates `--data`: a path, or paths and globs of archives.
 *
 * @param several Whether several paths may follow the flag. Otherwise the flag may be repeated.
 */
export function dataOption(several = true): Option {
  const description = 'folder of images, .tar or .tar.gz archives (paths or globs), or MNIST-style IDX files';
  if (several) return new Option('--data <PATH...>', description).makeOptionMandatory();
  return new Option('--data <PATH>', `${description}; may be repeated`)
    .argParser((path, before: string[] | undefined) => [...(before ?? []), path])
    .makeOptionMandatory();
}

function captionTemplate(text: string): string {
  if (!text.includes('{label}'))
    throw new UsageError('E_OPTION', `--caption-template: expected a sentence with {label}, received "${text}".`);
  return text;
}

/** A feature network for metrics. */
export interface FeatureFlags {
  features?: string;
  featureScaling?: FeatureScaling;
  featureOutput?: string;
}

export function addFeatureOptions(command: Command): Command {
  return command
    .option(
      '--features <FILE>',
      'ONNX network [B, 3, H, W] -> features: adds rFID, the Fréchet distance of reconstructions in its features',
    )
    .addOption(
      new Option('--feature-scaling <NAME>', 'pixel scaling that the network expects')
        .choices(FEATURE_SCALINGS)
        .default(DEFAULT_SCALING),
    )
    .option('--feature-output <NAME>', 'output of the network to use (default: the first)');
}

export interface OutputFlags {
  out: string;
  resume?: boolean;
  force?: boolean;
}

/** Adds `--out` and the options for existing output. */
export function addOutputOptions(command: Command, what: string, { resumes = true, required = true } = {}): Command {
  command.addOption(new Option('--out <PATH>', what).makeOptionMandatory(required));
  if (resumes) command.addOption(new Option('--resume', 'continue an interrupted run').conflicts('force'));
  return command.option('--force', 'overwrite existing output');
}

/** Options shared by `train codec` and `train prior`. */
export interface TrainFlags extends OutputFlags {
  preset?: string;
  config?: string;
  from?: string;
  steps?: number;
  minutes?: number;
  finish?: boolean;
  batch?: number;
  learningRate?: number;
  keep?: 'best' | 'last';
  patience?: number;
  seed: number;
}

export function addTrainingOptions(command: Command): Command {
  return command
    .option('--preset <NAME>', 'built-in settings, listed below (default: settings that suit the data)')
    .addOption(
      new Option('--config <FILE>', 'JSON file with custom settings, in the form of a preset').conflicts('preset'),
    )
    .option('--from <MODEL>', 'start from the weights of a trained model, with its settings')
    .addOption(
      numberOption('--steps <N>', 'number of optimizer steps; with --resume, a larger number extends the run', {
        min: 1,
        whole: true,
      }),
    )
    .addOption(
      numberOption('--minutes <N>', 'train for about N minutes: measures this machine and picks the number of steps', {
        above: 0,
      }).conflicts('steps'),
    )
    .option('--finish', 'with --resume: make the model from the last checkpoint, without further steps')
    .addOption(numberOption('--batch <N>', 'samples per step', { min: 1, max: 4096, whole: true }))
    .addOption(numberOption('--learning-rate <R>', 'peak learning rate', { above: 0 }))
    .addOption(
      new Option(
        '--keep <RULE>',
        'weights to save: those with the best held-out metric, or the last (default: best, unless the preset says otherwise)',
      ).choices(['best', 'last']),
    )
    .addOption(
      numberOption(
        '--patience <N>',
        'stop after N evaluations without improvement on held-out data; 0 never stops (default: 10 for priors, 0 for codecs)',
        { min: 0, whole: true },
      ),
    )
    .addOption(seedOption());
}

export function seedOption(): Option {
  return numberOption('--seed <S>', 'random seed; the same seed gives the same result', {
    min: 0,
    whole: true,
  }).default(0);
}

export function splitOption(otherwise: (typeof SPLIT_CHOICES)[number]): Option {
  return new Option('--split <SPLIT>', 'split to use').choices(SPLIT_CHOICES).default(otherwise);
}

export function jsonOption(): Option {
  return new Option('--json', 'print one JSON object on stdout');
}
