// Presets and config files, validated before anything is loaded.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CorruptError, UsageError } from '../errors.js';
import { packageFolder } from '../package-folder.js';
import { expectFile } from './paths.js';

interface SettingsFlags {
  preset?: string;
  config?: string;
}

/** @throws {UsageError} E_NOT_FOUND, E_PRESET, E_CONFIG. */
export async function expectSettings(kind: 'codec' | 'prior', { preset, config }: SettingsFlags): Promise<void> {
  if (config !== undefined) expectFile('--config', config);
  const { codecPreset, priorPreset } = await import('../sdk/presets.js');
  try {
    void (kind === 'codec' ? codecPreset({ preset, config }) : priorPreset({ preset, config }));
  } catch (error) {
    // Config files are written by hand, so an invalid one is a wrong argument rather than a damaged file.
    if (error instanceof CorruptError) throw new UsageError('E_CONFIG', `--config ${error.detail}`, { cause: error });
    throw error;
  }
}

/**
 * Lists the presets of a kind for a help text. Reads them without validation, which every command would otherwise have
 * to load.
 */
export function presetsText(kind: 'codec' | 'prior'): string {
  const folder = join(packageFolder(), 'presets', kind);
  const isDefault = (file: string): number => Number(file === 'default.json');
  const files = readdirSync(folder).sort((a, b) => isDefault(b) - isDefault(a) || (a < b ? -1 : 1));
  const width = Math.max(...files.map((file) => file.length - '.json'.length));
  const purposeOf = (file: string): string =>
    (JSON.parse(readFileSync(join(folder, file), 'utf8')) as { purpose?: string }).purpose ?? '';
  return `\nPresets:\n${files.map((file) => `  ${file.replace('.json', '').padEnd(width)}  ${purposeOf(file)}`.trimEnd()).join('\n')}\n`;
}
