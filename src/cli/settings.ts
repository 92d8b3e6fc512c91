// Presets and config files, checked before anything is loaded.
import { CorruptError, UsageError } from '../errors.js';
import { codecPreset, presetNames, priorPreset } from '../sdk/presets.js';
import { expectFile } from './paths.js';

interface SettingsFlags {
  preset?: string;
  config?: string;
}

/** @throws {UsageError} E_NOT_FOUND, E_PRESET, E_CONFIG. */
export function expectSettings(kind: 'codec' | 'prior', { preset, config }: SettingsFlags): void {
  if (config !== undefined) expectFile('--config', config);
  try {
    void (kind === 'codec' ? codecPreset({ preset, config }) : priorPreset({ preset, config }));
  } catch (error) {
    // A file people write by hand is a wrong argument, not a damaged file.
    if (error instanceof CorruptError) throw new UsageError('E_CONFIG', `--config ${error.detail}`, { cause: error });
    throw error;
  }
}

/** The presets of a kind, for a help text. */
export function presetsText(kind: 'codec' | 'prior'): string {
  const names = presetNames(kind);
  const width = Math.max(...names.map((name) => name.length));
  const purpose = (preset: string): string => (kind === 'codec' ? codecPreset({ preset }) : priorPreset({ preset })).purpose ?? '';
  return `\nPresets:\n${names.map((name) => `  ${name.padEnd(width)}  ${purpose(name)}`.trimEnd()).join('\n')}\n`;
}
