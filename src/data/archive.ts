// Reads the files of a tar archive, with or without gzip.
import { access, constants, stat, type FileHandle } from 'node:fs/promises';

import { InputError, TesseraeError } from '../errors.js';
import { describeBytes } from '../media/image/sniff.js';
import { accessError, firstBytes, readError, readExactly, withHandle, type FilePool } from './files.js';
import { inflatedHead, InflatedFile } from './inflate.js';
import { expectSize, isMetadata, MAX_METADATA, MAX_TEXT, SIDECAR_EXTENSIONS, type DataFile } from './listing.js';
import { decodeName, extensionOf, fileName, insidePath, isHidden } from './names.js';
import { scanOpen, type TarMember } from './tar.js';
import type { Tally } from './tally.js';

/**
 * Maximum ratio of content to gzip size. Images hardly compress, while a decompression bomb compresses a thousandfold.
 */
const MAX_INFLATION = 200;

/** Inflated size that is allowed for any gzip file, whatever its ratio. */
const SMALL = 2 ** 26;

/** Reads `length` bytes at a position of the archive's content. */
type ReadAt = (position: number, length: number) => Promise<Uint8Array>;

class MemberFile implements DataFile {
  constructor(
    readonly path: string,
    readonly bytes: number,
    private readonly archive: string,
    private readonly position: number,
    private readonly readAt: ReadAt,
    /** Content of small text files, kept from the scan because reading them again one by one would take as long. */
    private readonly content: Uint8Array | undefined,
  ) {}

  get where(): string {
    return `${this.archive}:${this.path}`;
  }

  async read(): Promise<Uint8Array> {
    expectSize(this);
    return this.content ?? this.readAt(this.position, this.bytes);
  }

  /** Returns the same content under another name. */
  linked(path: string): MemberFile {
    return new MemberFile(path, this.bytes, this.archive, this.position, this.readAt, this.content);
  }
}

/** The files of an archive, and a function that closes the archive. */
export interface OpenArchive {
  files: DataFile[];
  close(): Promise<void>;
}

/** Whether a file is a tar archive, or a gzip file that contains one. */
export async function isArchive(path: string): Promise<boolean> {
  const head = await firstBytes(path);
  if (isTar(head)) return true;
  return head[0] === 0x1f && head[1] === 0x8b && isTar(await inflatedHead(path, 512).catch(() => new Uint8Array(0)));
}

function isTar(head: Uint8Array): boolean {
  return head.length === 512 && Buffer.from(head.subarray(257, 262)).toString('latin1') === 'ustar';
}

/**
 * Rejects a path that is not a file or cannot be opened and, if there are several paths, one that is not an archive.
 *
 * @throws {InputError} E_DATA_KIND, E_DATA_LINK, E_DATA_ACCESS.
 */
export async function expectArchive(path: string, isAmongSeveral: boolean): Promise<void> {
  const fault = (error: unknown): never => {
    throw error instanceof TesseraeError ? error : accessError({ where: path }, error);
  };
  const found = await stat(path).catch(fault);
  const isFile = found.isFile();
  if (isFile) await access(path, constants.R_OK).catch(fault);
  if (isFile && (!isAmongSeveral || (await isArchive(path)))) return;
  const what = isFile ? describeBytes(await firstBytes(path)) : found.isDirectory() ? 'a folder' : 'a pipe or device';
  throw new InputError(
    'E_DATA_KIND',
    `${path}: expected an archive, because several paths must all be archives, found ${what}. For images or IDX files, give their folder.`,
  );
}

/**
 * Lists the files of an archive in their order. Links inside the archive are followed; hidden files are skipped.
 *
 * @param pool Reads the contents of the files later.
 * @throws {InputError} E_TAR_..., E_GZIP, E_DATA_LINK, E_DATA_DUPLICATE, E_SAMPLE_KEY, E_NOT_FOUND, unless the tally
 *   skips bad files.
 */
export async function openArchive(path: string, pool: FilePool, tally: Tally): Promise<OpenArchive> {
  const inflated = /gz$/i.test(path) ? await inflate(path) : undefined;
  const readAt: ReadAt = inflated
    ? (position, length) => readExactly(inflated.handle, path, position, length)
    : (position, length) => pool.read(path, position, length);
  try {
    const list = new MemberList(path, readAt, tally);
    if (inflated) await list.scan(inflated.handle);
    else await withHandle(path, (handle) => list.scan(handle));
    return { files: list.files, close: async () => inflated?.close() };
  } catch (error) {
    await inflated?.close();
    throw error;
  }
}

async function inflate(path: string): Promise<InflatedFile> {
  const { size } = await stat(path).catch((error: unknown) => {
    throw readError(path, error);
  });
  const limit = size * MAX_INFLATION + SMALL;
  const inflated = await InflatedFile.open(path, limit);
  if (inflated.size <= limit) return inflated;
  await inflated.close();
  throw new InputError(
    'E_GZIP',
    `${path}: expected at most ${limit} bytes in a gzip file of ${size}, found more. Unpack it yourself if this is intended.`,
  );
}

/** A link: its path, its text, and the path that it points to. */
interface Link {
  path: string;
  text: string;
  target: string;
}

/** Collects the members of one archive. */
class MemberList {
  readonly files: DataFile[] = [];
  private readonly byPath = new Map<string, MemberFile>();

  constructor(
    private readonly archive: string,
    private readonly readAt: ReadAt,
    private readonly tally: Tally,
  ) {}

  async scan(handle: FileHandle): Promise<void> {
    const links: TarMember[] = [];
    // If the archive itself is damaged, the members before the damage are kept.
    const whole = await this.tally.attempt(this.archive, async () => {
      const ignored = await scanOpen(handle, this.archive, async (member, body) => {
        if (member.link) links.push(member);
        else if (member.isOther) this.leaveOther(member);
        else await this.add(member, body);
      });
      if (ignored > 0)
        this.tally.warnings.push(`${this.archive}: ${ignored} bytes after the end of the archive were ignored.`);
      return true;
    });
    // A damaged archive counts as one bad file, in addition to its members.
    if (!whole) this.tally.files++;
    this.followAll(links);
  }

  private async add(member: TarMember, body: () => Promise<Uint8Array>): Promise<void> {
    const path = this.pathOf(member);
    if (path === undefined) return;
    const content =
      isText(path) && member.size <= (isMetadata(path) ? MAX_METADATA : MAX_TEXT) ? await body() : undefined;
    this.keep(new MemberFile(path, member.size, this.archive, member.position, this.readAt, content));
  }

  /** Follows links. Links may point to later links, so the rounds continue until no further link can be resolved. */
  private followAll(links: readonly TarMember[]): void {
    let open = links.flatMap((member): Link[] => {
      const path = this.pathOf(member);
      if (path === undefined) return [];
      const text = decodeName(member.link!.target).text;
      const folder = path.slice(0, path.length - fileName(path).length);
      return [{ path, text, target: resolved(member.link!.from === 'top' ? text : `${folder}${text}`) }];
    });
    for (let before = Infinity; open.length < before;) {
      before = open.length;
      open = open.filter(({ path, target }) => {
        const file = this.byPath.get(target);
        if (file) this.keep(file.linked(path));
        return !file;
      });
    }
    for (const { path, text } of open)
      this.tally.reject(
        path,
        new InputError(
          'E_DATA_LINK',
          `${this.archive}:${path}: expected a link to a file in the archive, found a link to ${JSON.stringify(text.slice(0, 80))}. Pack the archive with tar --dereference.`,
        ),
      );
  }

  private leaveOther(member: TarMember): void {
    this.tally.files++;
    this.tally.leftOut.add('members of other kinds, such as sparse files and devices', decodeName(member.name).text);
  }

  /** Returns the path of a member, or undefined if it is skipped. */
  private pathOf(member: TarMember): string | undefined {
    const path = insidePath(decodeName(member.name).text);
    this.tally.files++;
    if (path === '') {
      this.tally.reject(
        `${this.archive}@${member.position}`,
        new InputError('E_SAMPLE_KEY', `${this.archive}@${member.position}: expected a file with a name, found none.`),
      );
      return undefined;
    }
    if (!isHidden(path)) return path;
    this.tally.leftOut.add('hidden files', path);
    return undefined;
  }

  private keep(file: MemberFile): void {
    if (this.byPath.has(file.path)) {
      this.tally.reject(
        `${file.path} (second)`,
        new InputError(
          'E_DATA_DUPLICATE',
          `${file.where}: expected unique names in the archive, found a second "${file.path}".`,
        ),
      );
      return;
    }
    this.byPath.set(file.path, file);
    this.files.push(file);
  }
}

function isText(path: string): boolean {
  return SIDECAR_EXTENSIONS.has(extensionOf(path)) || isMetadata(path);
}

/** Resolves the `..` parts that a link may contain. */
function resolved(path: string): string {
  const parts: string[] = [];
  for (const part of path.replaceAll('\\', '/').split('/')) {
    if (part === '..') parts.pop();
    else parts.push(part);
  }
  return insidePath(parts.join('/'));
}
