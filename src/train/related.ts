// Finds the reports that belong together: those of a codec and of the priors trained on its tokens, where they lie side by side.
import { dirname, join, relative, resolve, sep } from 'node:path';
import { CARD } from '../checkpoint/card-file.js';
import { nodeFiles } from '../files/system.js';
import { readJson } from '../files/read.js';
import { isRecord } from '../json.js';
import type { ReportLink } from '../report/html.js';

/** Name of the report in a model's directory. */
export const REPORT = 'report.html';

/** Directories with more entries than this are not searched. */
const MOST_SIBLINGS = 500;

interface Wanted {
  kind: 'codec' | 'prior';
  /** Of the codec itself, or of that which a prior was trained for. */
  codec: string;
}

/**
 * The reports of models beside these directories. Only those that exist are linked.
 *
 * @param page the directory of the page that links to them.
 */
export function relatedReports(page: string, places: readonly string[], wanted: Wanted): ReportLink[] {
  const folders = new Set(places.map((place) => dirname(resolve(place))));
  return [...folders].flatMap((folder) =>
    siblings(folder).flatMap((name) => {
      const directory = join(folder, name);
      return directory !== resolve(page) && isWanted(directory, wanted)
        ? linkTo(page, directory, wanted.kind, name)
        : [];
    }),
  );
}

/** A link to the report in a directory; none if there is no report. */
export function linkTo(page: string, directory: string, kind: string, name: string): ReportLink[] {
  const report = join(directory, REPORT);
  if (!nodeFiles.status(report)) return [];
  return [
    {
      text: `Report of the ${kind} ${name}`.trim(),
      href: relative(resolve(page), resolve(report)).split(sep).join('/'),
    },
  ];
}

function siblings(folder: string): string[] {
  try {
    const names = nodeFiles.list(folder);
    return names.length <= MOST_SIBLINGS ? [...names].sort() : [];
  } catch {
    return []; // What cannot be listed has no reports to link to.
  }
}

/** Whether a directory has the card of such a model. The card is not verified: it only decides on a link. */
function isWanted(directory: string, { kind, codec }: Wanted): boolean {
  const path = join(directory, CARD);
  try {
    if (!nodeFiles.status(join(directory, REPORT)) || !nodeFiles.status(path)) return false;
    const card = readJson(path);
    if (!isRecord(card) || card['kind'] !== kind) return false;
    if (kind === 'codec') return card['fingerprint'] === codec;
    return isRecord(card['codec']) && card['codec']['fingerprint'] === codec;
  } catch {
    return false;
  }
}
