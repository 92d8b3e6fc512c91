import { Command } from 'commander';
import { durationText, formatCount } from '../report/format.js';
import type { CodecPresetSummary, PresetList, PriorPresetSummary } from '../sdk/preset-list.js';
import { jsonOption } from './options.js';
import type { Session } from './session.js';

export function presetsCommand(session: Session): Command {
  return new Command('presets')
    .description('list presets with sizes, bits and training times on this machine')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nWithout --preset or --config, train picks settings that suit the data.\n\nExample:\n  tesserae presets',
    )
    .action(() => list(session));
}

async function list(session: Session): Promise<void> {
  await session.startEngine();
  const { listPresets } = await import('../sdk/preset-list.js');
  const found = await listPresets();
  session.result(found, linesOf(found));
}

function linesOf({ codecs, priors, priorTokens }: PresetList): string[] {
  return [
    'Presets of codecs (tesserae train codec --preset NAME):',
    ...table([
      ['name', 'images', 'codes', 'vocabulary', 'bits', 'size', 'steps', 'time here'],
      ...codecs.map(codecCells),
    ]),
    '',
    ...codecs.map(({ name, purpose }) => `${name}: ${purpose}`),
    '',
    `Presets of priors (tesserae train prior --preset NAME), for ${priorTokens.grid.join('x')} codes of ${priorTokens.vocabSize} without captions; more codes take more time:`,
    ...table([['name', 'size', 'steps', 'time here'], ...priors.map(priorCells)]),
    '',
    ...priors.map(({ name, purpose }) => `${name}: ${purpose}`),
  ];
}

const codecCells = (preset: CodecPresetSummary): string[] => {
  const [height, width, channels] = preset.image;
  return [
    preset.name,
    `${width}x${height} ${channels === 1 ? 'gray' : 'color'}`,
    preset.maps.map(({ grid }) => grid.join('x')).join(' + ') || 'none',
    preset.maps.map(({ vocabSize }) => formatCount(vocabSize)).join(' + ') || 'none',
    formatCount(Math.round(preset.bits)),
    ...sizeCells(preset),
  ];
};

const priorCells = (preset: PriorPresetSummary): string[] => [preset.name, ...sizeCells(preset)];

const sizeCells = ({ megabytes, steps, seconds }: CodecPresetSummary | PriorPresetSummary): string[] => [
  `${megabytes.toPrecision(2)} MB`,
  formatCount(steps),
  durationText(seconds),
];

/** Pads the cells of a table to columns. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i]!)).join('  ')}`.trimEnd());
}
