// Presets and config files, which describe a model and its training as JSON.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { SamplingDefaultsSchema } from '../checkpoint/card.js';
import { UsageError } from '../errors.js';
import { decodeUtf8, parseJson } from '../json.js';
import { readFile, readJson } from '../files/read.js';
import { parseConfig } from '../model/config.js';
import { shippedFolder } from '../package-folder.js';

/** Maximum number of text tokens that a prior reads. */
export const MAX_TEXT_LENGTH = 1024;

const json = z.record(z.string(), z.unknown());

const CodecPresetSchema = z.strictObject({
  codec: z.string().default('vqvae'),
  /** What the preset is for, in one line. */
  purpose: z.string().optional(),
  config: json.default({}),
  training: json.default({}),
});

const PriorPresetSchema = z.strictObject({
  prior: z.string().default('gpt'),
  purpose: z.string().optional(),
  config: json.default({}),
  /** Vocabulary of a text tokenizer trained on the captions, and the number of text tokens that a prior reads. Default: those of the longest caption that is not an outlier. */
  text: z
    .strictObject({
      vocabSize: z.int().min(256).max(65536).default(2048),
      length: z.int().min(1).max(MAX_TEXT_LENGTH).optional(),
    })
    .prefault({}),
  /** How the prior samples best, for its card. */
  sampling: SamplingDefaultsSchema.optional(),
  training: json.default({}),
});

export type CodecPreset = z.infer<typeof CodecPresetSchema>;
export type PriorPreset = z.infer<typeof PriorPresetSchema>;

function presetFolder(): string {
  const folder = shippedFolder('presets');
  if (folder !== undefined) return folder;
  throw new UsageError(
    'E_PRESETS',
    'presets: expected the folder that ships with the package, found none. Reinstall it.',
  );
}

/** Names of the presets of a kind. */
export function presetNames(kind: 'codec' | 'prior'): string[] {
  return readdirSync(join(presetFolder(), kind))
    .map((file) => file.replace(/\.json$/, ''))
    .sort();
}

/** @throws {UsageError} E_PRESET listing the names there are, E_CONFIG naming the field that is wrong. */
export function codecPreset(source: { preset?: string; config?: string }): CodecPreset {
  return parseConfig(source.config ?? source.preset ?? 'codec', CodecPresetSchema, readPreset('codec', source));
}

/** @throws {UsageError} E_PRESET listing the names there are, E_CONFIG naming the field that is wrong. */
export function priorPreset(source: { preset?: string; config?: string }): PriorPreset {
  return parseConfig(source.config ?? source.preset ?? 'prior', PriorPresetSchema, readPreset('prior', source));
}

/** Checks settings in the form of a preset. @throws {UsageError} E_CONFIG naming the field that is wrong. */
export const parseCodecPreset = (settings: unknown): CodecPreset =>
  parseConfig('codec settings', CodecPresetSchema, settings);

/** Checks settings in the form of a preset. @throws {UsageError} E_CONFIG naming the field that is wrong. */
export const parsePriorPreset = (settings: unknown): PriorPreset =>
  parseConfig('prior settings', PriorPresetSchema, settings);

/** Removes the byte order mark that some editors write, which JSON does not allow. */
function readConfig(path: string): unknown {
  return parseJson(decodeUtf8(readFile(path, { limit: CONFIG_LIMIT }), path).replace(/^\ufeff/, ''), path);
}

/** Maximum size of settings, in bytes. */
const CONFIG_LIMIT = 2 ** 20;

function readPreset(kind: 'codec' | 'prior', { preset, config }: { preset?: string; config?: string }): unknown {
  if (preset !== undefined && config !== undefined)
    throw new UsageError('E_PRESET', '--preset and --config: expected one of them, received both.');
  if (config !== undefined) return readConfig(config);
  const name = preset ?? 'default';
  const names = presetNames(kind);
  if (!names.includes(name)) throw new UsageError('E_PRESET', `--preset ${name}: expected one of ${names.join(', ')}.`);
  return readJson(join(presetFolder(), kind, `${name}.json`));
}
