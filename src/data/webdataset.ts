// WebDataset: tar archives in which the files of a sample lie side by side, `key.png` + `key.txt`, `key.cls`, `key.json`.
import { basename } from 'node:path';

import { InputError, messageOf } from '../errors.js';
import type { Dataset, Split } from '../interfaces/dataset.js';
import { FilePool } from './files.js';
import { IndexedDataset, type DatasetOptions, type Entry } from './indexed.js';
import { captionLines, describeRow, utf8, type Described } from './labels.js';
import { officialSplit } from './split.js';
import { scanTar, type ReadBody, type TarMember } from './tar.js';

const PICTURES = new Set(['png', 'jpg', 'jpeg', 'webp']);
const TEXTS = new Set(['txt', 'cls', 'json']);

/** Bound on the text beside a picture. */
const MAX_TEXT = 1 << 20;

interface TarEntry extends Entry {
  tar: string;
  member: TarMember;
}

/** What an archive holds under one key. */
interface Group {
  picture?: TarMember;
  seen: Set<string>;
  txt?: string[];
  cls?: string;
  json?: Described;
}

/**
 * Opens one or more archives. A sample is its picture; files beside it give captions (`.txt`, one a line), the label
 * (`.cls`) or both (`.json`). Keys of several archives are prefixed with the archive's name. Archives named `train...` and
 * `test...` (`val...`), or such top folders inside, are the split when both are present.
 *
 * @throws {InputError} E_TAR_..., E_DATA_DUPLICATE, E_DATA_EMPTY, E_DATA_TEXT, E_DATA_METADATA.
 */
export async function openWebDataset(
  paths: readonly string[],
  options: DatasetOptions = {},
  source: string = paths.join(', '),
): Promise<Dataset> {
  const entries: TarEntry[] = [];
  for (const path of paths) {
    const prefix = paths.length > 1 ? `${basename(path, '.tar')}/` : '';
    for (const [key, group] of await readGroups(path)) {
      if (group.picture) entries.push(entryOf(path, prefix + key, group, group.picture));
    }
  }
  const files = new FilePool();
  return new IndexedDataset(
    {
      kind: 'webdataset',
      source,
      entries: withSplit(entries),
      sourceOf: ({ tar, member }) => `${tar}:${member.name}`,
      read: async ({ tar, member }) => ({ bytes: await files.read(tar, member.position, member.size) }),
      close: () => files.close(),
    },
    options,
  );
}

async function readGroups(path: string): Promise<Map<string, Group>> {
  const groups = new Map<string, Group>();
  await scanTar(path, async (member, body) => {
    const part = partOf(member.name);
    if (!part) return;
    const group = groups.get(part.key) ?? { seen: new Set<string>() };
    groups.set(part.key, group);
    await addPart(group, part, member, body, path);
  });
  dropSidePictures(groups);
  return groups;
}

interface Part {
  key: string;
  extension: string;
}

/** Splits `folder/key.ext`; undefined for files that are no part of a sample (hidden ones, other extensions). */
function partOf(name: string): Part | undefined {
  const file = basename(name);
  const dot = name.lastIndexOf('.');
  const extension = name.slice(dot + 1).toLowerCase();
  if (file.startsWith('.') || name.startsWith('__MACOSX/') || !file.includes('.')) return undefined;
  return PICTURES.has(extension) || TEXTS.has(extension) ? { key: name.slice(0, dot), extension } : undefined;
}

async function addPart(group: Group, part: Part, member: TarMember, body: ReadBody, path: string): Promise<void> {
  const where = `${path}:${member.name}`;
  const role = PICTURES.has(part.extension) ? 'picture' : part.extension;
  if (group.seen.has(role)) {
    throw new InputError('E_DATA_DUPLICATE', `${where}: expected one ${role} for key "${part.key}", found a second.`);
  }
  group.seen.add(role);
  if (role === 'picture') {
    group.picture = member;
    return;
  }
  if (member.size > MAX_TEXT) {
    throw new InputError('E_DATA_TEXT', `${where}: expected at most ${MAX_TEXT} bytes of text, found ${member.size}.`);
  }
  const bytes = await body();
  if (role === 'txt') group.txt = captionLines(bytes, where);
  if (role === 'cls') group.cls = utf8(bytes, where).trim();
  if (role === 'json') group.json = describeRow(jsonObject(utf8(bytes, where), where), where);
}

/** @throws {InputError} E_DATA_METADATA when the text is not one JSON object. */
export function jsonObject(text: string, source: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError('E_DATA_METADATA', `${source}: expected JSON (${messageOf(error)}).`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InputError('E_DATA_METADATA', `${source}: expected a JSON object, found ${JSON.stringify(value).slice(0, 40)}.`);
  }
  return value as Record<string, unknown>;
}

/** By convention `key.mask.png` accompanies `key.png`; on its own, `v1.2_cat.png` is a sample with dots in its name. */
function dropSidePictures(groups: Map<string, Group>): void {
  for (const key of groups.keys()) {
    const folder = key.lastIndexOf('/') + 1;
    const dot = key.indexOf('.', folder);
    if (dot > 0 && groups.get(key.slice(0, dot))?.picture) groups.delete(key);
  }
}

function entryOf(tar: string, key: string, group: Group, picture: TarMember): TarEntry {
  const captions = group.txt?.length ? group.txt : (group.json?.captions ?? []);
  const label = group.cls || group.json?.label;
  return { key, captions, label, bytes: picture.size, tar, member: picture };
}

/** The split told by the archives' names or by top folders inside; samples of neither side are left out. */
function withSplit(entries: TarEntry[]): TarEntry[] {
  for (const nameOf of [archiveName, topFolder]) {
    const names = officialSplit(entries.map(nameOf));
    if (!names) continue;
    const splitOf = new Map<string, Split>([
      [names.train, 'train'],
      [names.test, 'test'],
    ]);
    return entries.flatMap((entry) => {
      const split = splitOf.get(nameOf(entry));
      return split ? [{ ...entry, split }] : [];
    });
  }
  return entries;
}

/** `train` of `/data/train-0001.tar`. */
function archiveName({ tar }: TarEntry): string {
  return /^[A-Za-z]+/.exec(basename(tar))?.[0].toLowerCase() ?? '';
}

function topFolder({ member }: TarEntry): string {
  return member.name.slice(0, Math.max(0, member.name.indexOf('/')));
}
