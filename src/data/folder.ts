// Lists the files of a folder recursively.
import type { Stats } from 'node:fs';
import { access, constants, open, readdir, stat } from 'node:fs/promises';
import { sep } from 'node:path';

import { InputError, TesseraeError } from '../errors.js';
import { mapLimit } from './concurrency.js';
import { accessError, readError } from './files.js';
import { expectSize, type DataFile } from './listing.js';
import { decodeName, insidePath, isHidden } from './names.js';
import type { Tally } from './tally.js';

/** Number of files examined concurrently. */
const AT_ONCE = 16;

/** A path for the file system; a Buffer if the name is not UTF-8. */
type Location = string | Buffer;

class DiskFile implements DataFile {
  constructor(
    readonly path: string,
    readonly bytes: number,
    readonly where: string,
    private readonly location: Location,
  ) {}

  /**
   * Reads the file. It may have been replaced since it was listed, so a pipe is not waited for and a device is not
   * read.
   */
  async read(): Promise<Uint8Array> {
    expectSize(this);
    try {
      const handle = await open(this.location, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
      try {
        const found = await handle.stat();
        if (!found.isFile())
          throw new InputError(
            'E_DATA_READ',
            `${this.where}: expected a file, found something else. It changed while it was being read.`,
          );
        expectSize({ where: this.where, bytes: found.size });
        return await handle.readFile();
      } finally {
        await handle.close();
      }
    } catch (error) {
      // The file has been deleted since the folder was listed.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw readError(this.where, error);
      throw error instanceof TesseraeError ? error : accessError(this, error);
    }
  }
}

/** A name found in a folder, not yet examined. */
interface Found {
  path: string;
  location: Location;
  where: string;
}

/**
 * Lists the files below `root`, sorted by path in code-unit order. Links are followed, and each folder is entered once.
 * Hidden names and anything that is not a file (pipes, sockets) are skipped; dangling links and files that cannot be
 * opened are bad.
 *
 * @throws {InputError} E_NOT_FOUND, E_DATA_LINK, E_DATA_ACCESS, E_DATA_DUPLICATE.
 */
export async function listFolder(root: string, tally: Tally): Promise<DataFile[]> {
  const walk: Walk = { found: [], entered: new Set(), links: [], tally };
  await enter({ path: '', location: root, where: root }, walk).catch((error: unknown) => {
    throw error instanceof TesseraeError ? error : readError(root, error);
  });
  // Links come after all folders, so that a target inside the dataset is listed under its own name.
  for (let link = walk.links.shift(); link; link = walk.links.shift()) await enterBelow(link, walk);
  const files = await mapLimit(walk.found, AT_ONCE, (one) => tally.attempt(one.path, () => examine(one, tally)));
  const sorted = files
    .filter((file) => file !== undefined)
    .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : a.where < b.where ? -1 : 1));
  return withoutDoubles(sorted, tally);
}

/** State of a search through folders. */
interface Walk {
  found: Found[];
  /** Visited folders, by device and inode. */
  entered: Set<string>;
  /** Links to folders, to be followed later. */
  links: Found[];
  tally: Tally;
}

async function enter(folder: Found, walk: Walk): Promise<void> {
  const { dev, ino } = await stat(folder.location, { bigint: true });
  const identity = `${dev}:${ino}`;
  if (walk.entered.has(identity)) return;
  const items = await readdir(folder.location, { withFileTypes: true, encoding: 'buffer' });
  walk.entered.add(identity);
  // Sorted, so that if two paths lead to one folder, the same one is taken on every file system.
  for (const item of items.sort((a, b) => Buffer.compare(a.name, b.name))) {
    const one = below(folder, item.name);
    if (isHidden(one.path)) {
      walk.tally.files++;
      walk.tally.leftOut.add('hidden files', one.path);
    } else if (item.isDirectory()) {
      await enterBelow(one, walk);
    } else if (item.isSymbolicLink() && (await isFolder(one))) {
      walk.links.push(one);
    } else {
      walk.tally.files++;
      walk.found.push(one);
    }
  }
}

/** Enters a subfolder. A folder that cannot be entered is bad; bad files inside it have already been recorded. */
async function enterBelow(folder: Found, walk: Walk): Promise<void> {
  try {
    await enter(folder, walk);
  } catch (error) {
    if (error instanceof TesseraeError) throw error;
    walk.tally.files++;
    walk.tally.reject(folder.path, accessError(folder, error));
  }
}

function below(folder: Found, name: Buffer): Found {
  const { text, utf8 } = decodeName(name);
  const inside = insidePath(text);
  const path = folder.path ? `${folder.path}/${inside}` : inside;
  const location =
    utf8 && typeof folder.location === 'string'
      ? `${folder.location}${sep}${text}`
      : Buffer.concat([Buffer.from(folder.location), Buffer.from(sep), name]);
  return { path, location, where: `${folder.where}${folder.where.endsWith(sep) ? '' : sep}${text}` };
}

/** Whether a path is a folder. A dangling link is not; {@link examine} reports it. */
async function isFolder({ location }: Found): Promise<boolean> {
  return stat(location).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

async function examine(one: Found, tally: Tally): Promise<DataFile | undefined> {
  const found: Stats = await stat(one.location).catch((error: unknown) => {
    throw accessError(one, error);
  });
  if (found.isFile()) {
    await access(one.location, constants.R_OK).catch((error: unknown) => {
      throw accessError(one, error);
    });
    return new DiskFile(one.path, found.size, one.where, one.location);
  }
  tally.leftOut.add('pipes, sockets and devices', one.path);
  return undefined;
}

/** Removes duplicates: two names may become equal in composed Unicode, in which case the second file is bad. */
function withoutDoubles(files: readonly DataFile[], tally: Tally): DataFile[] {
  return files.filter((file, i) => {
    const other = files[i - 1];
    if (other?.path !== file.path) return true;
    tally.reject(
      `${file.path} (second)`,
      new InputError(
        'E_DATA_DUPLICATE',
        `${file.where}: expected a unique name, found "${file.path}", which ${other.where} also has. Rename one of them.`,
      ),
    );
    return false;
  });
}
