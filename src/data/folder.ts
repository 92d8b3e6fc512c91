// The files of a folder, found recursively.
import type { Stats } from 'node:fs';
import { access, constants, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { sep } from 'node:path';

import { InputError, IoError, TesseraeError, messageOf } from '../errors.js';
import { mapLimit } from './concurrency.js';
import { readError } from './files.js';
import type { DataFile } from './listing.js';
import { decodeName, insidePath, isHidden } from './names.js';
import type { Tally } from './tally.js';

/** Files examined at once. */
const AT_ONCE = 16;

/** A path for the file system: bytes where the name is not UTF-8. */
type Location = string | Buffer;

class DiskFile implements DataFile {
  constructor(
    readonly path: string,
    readonly bytes: number,
    readonly where: string,
    private readonly location: Location,
  ) {}

  async read(): Promise<Uint8Array> {
    return readFile(this.location).catch((error: unknown) => {
      throw readError(this.where, error);
    });
  }
}

/** A name found in a folder, not yet examined. */
interface Found {
  path: string;
  location: Location;
  where: string;
}

/**
 * Lists the files below `root`, sorted by path in code-unit order. Links are followed and each folder is entered once.
 * Hidden names and what is no file (pipes, sockets) are left out; dangling links and what cannot be opened are bad.
 *
 * @throws {InputError} E_NOT_FOUND, E_DATA_LINK, E_DATA_ACCESS, E_DATA_DUPLICATE.
 */
export async function listFolder(root: string, tally: Tally): Promise<DataFile[]> {
  const found: Found[] = [];
  const entered = new Set<string>();
  await enter({ path: '', location: root, where: root }, found, entered, tally).catch((error: unknown) => {
    throw error instanceof TesseraeError ? error : readError(root, error);
  });
  const files = await mapLimit(found, AT_ONCE, (one) => tally.attempt(one.path, () => examine(one, tally)));
  const sorted = files.filter((file) => file !== undefined).sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : a.where < b.where ? -1 : 1));
  return withoutDoubles(sorted, tally);
}

async function enter(folder: Found, found: Found[], entered: Set<string>, tally: Tally): Promise<void> {
  const real = await realpath(folder.location);
  if (entered.has(real)) return;
  const items = await readdir(folder.location, { withFileTypes: true, encoding: 'buffer' });
  entered.add(real);
  // In order, so that of two ways into one folder the same is taken on every file system.
  for (const item of items.sort((a, b) => Buffer.compare(a.name, b.name))) {
    const one = below(folder, item.name);
    if (isHidden(one.path)) {
      tally.files++;
      tally.leftOut.add('hidden files', one.path);
    } else if (item.isDirectory() || (item.isSymbolicLink() && (await isFolder(one)))) {
      await enterBelow(one, found, entered, tally);
    } else {
      tally.files++;
      found.push(one);
    }
  }
}

/** A folder that cannot be entered is bad; what is bad inside it has been told already. */
async function enterBelow(folder: Found, found: Found[], entered: Set<string>, tally: Tally): Promise<void> {
  try {
    await enter(folder, found, entered, tally);
  } catch (error) {
    if (error instanceof TesseraeError) throw error;
    tally.files++;
    tally.reject(folder.path, accessError(folder, error));
  }
}

function below(folder: Found, name: Buffer): Found {
  const { text, utf8 } = decodeName(name);
  const inside = insidePath(text);
  const path = folder.path ? `${folder.path}/${inside}` : inside;
  const location = utf8 && typeof folder.location === 'string' ? `${folder.location}${sep}${text}` : Buffer.concat([Buffer.from(folder.location), Buffer.from(sep), name]);
  return { path, location, where: `${folder.where}${folder.where.endsWith(sep) ? '' : sep}${text}` };
}

/** A link that leads nowhere is no folder; {@link examine} says what it is. */
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

/** What the system says of one entry of a folder is the entry's fault; a broken disk stays the disk's. */
function accessError({ where }: Found, error: unknown): Error {
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? '';
  if (code === 'ENOENT' || code === 'ELOOP') return new InputError('E_DATA_LINK', `${where}: expected a file, found a link that leads nowhere. Remove or mend it.`, { cause: error });
  if (code === 'EACCES' || code === 'EPERM') return new InputError('E_DATA_ACCESS', `${where}: expected to be readable, found permission denied. Change its permissions.`, { cause: error });
  return new IoError('E_DATA_READ', `${where}: cannot be read (${messageOf(error)}).`, { cause: error });
}

/** Two names may become one in composed Unicode; the second is bad. */
function withoutDoubles(files: readonly DataFile[], tally: Tally): DataFile[] {
  return files.filter((file, i) => {
    const other = files[i - 1];
    if (other?.path !== file.path) return true;
    tally.reject(`${file.path} (second)`, new InputError('E_DATA_DUPLICATE', `${file.where}: expected a name of its own, found "${file.path}", which ${other.where} has too. Rename one.`));
    return false;
  });
}
