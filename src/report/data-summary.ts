// Describes a dataset in sentences.
import type { DataSummary, LeftOut } from '../interfaces/index.js';
import { formatCount } from './format.js';

/** Maximum number of reasons listed in the first line; the others are added up. */
const MOST_REASONS = 4;

/** Formats that may hold several images, of which only the first is read. */
const ANIMATED: ReadonlySet<string> = new Set(['gif', 'tif', 'tiff']);

/**
 * Describes what was read and what was skipped, followed by one line per warning.
 *
 * @returns `data: 4,120 images, 3,980 captioned (.txt); 140 .caption files not used; split: ...; conditioning: text`,
 *   and so on.
 */
export function summaryLines(summary: DataSummary): string[] {
  const parts = [
    contentText(summary),
    ...leftOutTexts(summary),
    ...firstFrames(summary),
    `split: ${summary.split}`,
    `conditioning: ${conditioningText(summary)}`,
  ];
  return [
    `data: ${parts.join('; ')}`,
    ...[...summary.warnings, ...lossWarnings(summary), ...captionWarnings(summary), ...badWarnings(summary)].map(
      (line) => `warning: ${line}`,
    ),
  ];
}

function contentText({ noun, samples, captions, labeled, classes }: DataSummary): string {
  const sources = Object.entries(captions.used).sort((a, b) => b[1] - a[1]);
  const from =
    sources.length === 1
      ? ` (${sources[0]![0]})`
      : sources.length > 1
        ? ` (${sources.map(([name, count]) => `${name} ${formatCount(count)}`).join(', ')})`
        : '';
  return `${formatCount(samples)} ${samples === 1 ? noun.one : noun.many}, ${formatCount(captions.samples)} captioned${from}${labeled > 0 ? `, ${formatCount(labeled)} with one of ${formatCount(classes)} classes` : ''}`;
}

/**
 * Lists everything that was skipped except bad files, which have their own warnings. Captions inside skipped files are
 * reported with those files.
 */
function leftOutTexts({ noun, leftOut, captions }: DataSummary): string[] {
  const files = new Set(leftOut.map(({ reason }) => reason));
  const alone = captions.unused.filter(
    ({ reason }) => !files.has(reason) && !files.has(reason.replace(/^captions of (\.\S+) /, '$1 files ')),
  );
  // Lost images come first, then lost captions, then files that are expected to be skipped.
  const rank = (one: LeftOut): number =>
    one.media ? 0 : alone.includes(one) ? 1 : captions.unused.some(({ reason }) => reason === one.reason) ? 1 : 2;
  const all = [...leftOut, ...alone].sort((a, b) => rank(a) - rank(b) || b.count - a.count);
  const shown = all.slice(0, MOST_REASONS).map((one) => reasonText(one, noun));
  const rest = all.slice(MOST_REASONS).reduce((sum, { count }) => sum + count, 0);
  return rest === 0 ? shown : [...shown, `${formatCount(rest)} more left out`];
}

function reasonText({ reason, count, examples }: LeftOut, noun: DataSummary['noun']): string {
  if (count > 1) return `${formatCount(count)} ${reason}`;
  const { one: sample, many } = noun;
  const one = reason
    .replace(new RegExp(`\\b${many}\\b`), sample)
    .replace(/\b(file|caption|member)s\b/, '$1')
    .replace(/\bthat are\b/, 'that is')
    .replace('pipes, sockets and devices', 'pipe, socket or device');
  return `1 ${one} (${examples[0]!})`;
}

function firstFrames({ formats }: DataSummary): string[] {
  return Object.entries(formats)
    .filter(([extension]) => ANIMATED.has(extension))
    .map(([extension, count]) => `${formatCount(count)} .${extension}: only the first image of each`);
}

/** The conditioning that a prior trained on this data will use by default. */
function conditioningText({ captions, classes }: DataSummary): string {
  if (captions.samples > 0 && captions.distinct > classes) return 'text';
  return classes > 0 ? 'label' : 'none';
}

/** If a larger fraction of the images than this is lost, a warning is added. */
const MANY_LOST = 0.1;

function lossWarnings({ noun, leftOut, samples }: DataSummary): string[] {
  const lost = leftOut.filter(({ media }) => media);
  const count = lost.reduce((sum, one) => sum + one.count, 0);
  if (count <= MANY_LOST * (samples + count)) return [];
  return [
    `${formatCount(count)} of ${formatCount(samples + count)} ${noun.many} are left out: ${lost.map((one) => reasonText(one, noun)).join(', ')}.`,
  ];
}

function captionWarnings({ noun, samples, captions, labeled }: DataSummary): string[] {
  const unused = captions.unused.reduce((sum, { count }) => sum + count, 0);
  const hint =
    unused > 0
      ? ` ${formatCount(unused)} captions were not used: ${captions.unused
          .map(({ reason, count }) => `${formatCount(count)} ${reason}`)
          .slice(0, 3)
          .join(', ')}.`
      : '';
  if (captions.samples === 0 && labeled === 0)
    return [`no ${noun.one} has a caption or a class, so a prior trained on this data will be unconditional.${hint}`];
  if (captions.samples > 0 && captions.samples < samples / 2 && labeled < samples / 2)
    return [`only ${formatCount(captions.samples)} of ${formatCount(samples)} ${noun.many} have a caption.${hint}`];
  return [];
}

function badWarnings({ bad }: DataSummary): string[] {
  const shown = bad.slice(0, 10).map(({ error }) => `left out: ${error}`);
  return bad.length > 10
    ? [...shown, `left out: ${formatCount(bad.length - 10)} more files or rows that cannot be used`]
    : shown;
}
