// The heading of a report: which run, on which data, when, how long.
import { basename, dirname } from 'node:path';
import { formatDate, formatTime } from './format.js';
import type { Report } from './html.js';

export interface Heading {
  /** What kind of page it is: `Codec`. */
  kind: string;
  /** Name of the run. */
  name: string;
  /** Source of the data, as it was given. */
  data: string;
  /** ISO 8601. */
  date?: string;
  seconds?: number;
  /** Further facts, such as the model's family. */
  facts?: readonly (readonly [name: string, value: string])[];
}

/** The parts of a report that say what it is about. */
export function headingOf({
  kind,
  name,
  data,
  date,
  seconds,
  facts = [],
}: Heading): Pick<Report, 'title' | 'kicker' | 'windowTitle' | 'facts'> {
  const day = date === undefined ? undefined : formatDate(new Date(date));
  const duration = seconds === undefined ? undefined : formatTime(seconds);
  const all = [['Data', shortSource(data)], ['Date', day], ['Duration', duration], ...facts] as const;
  return {
    kicker: `Tesserae ${kind}`,
    title: name,
    windowTitle: [`${kind} ${name}`, shortSource(data), day, duration].filter((part) => part !== undefined).join(' · '),
    facts: all.filter((fact): fact is [string, string] => fact[1] !== undefined && fact[1] !== ''),
  };
}

/** Names of folders that say nothing without the folder around them. */
const GENERIC = /^(data|dataset|images?|pictures|train|training|raw)$/i;

/** Sources of data without the folders that they lie in, unless their own name says nothing. */
export const shortSource = (source: string): string => source.split(', ').map(shortPath).join(', ');

function shortPath(path: string): string {
  const name = basename(path);
  const around = basename(dirname(path));
  if (!GENERIC.test(name) || around === '' || around === '.') return name || path;
  return `${around}/${name}`;
}
