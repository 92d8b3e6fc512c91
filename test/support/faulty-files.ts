// A file system in memory that forgets what was not flushed, fills up, writes short and stops at any call.
import { basename, dirname } from 'node:path';
import { IoError } from '../../src/errors.js';
import type { FileStatus, FileSystem } from '../../src/files/system.js';

interface FileNode {
  kind: 'file';
  bytes: Uint8Array;
  /** What the disk would still hold after a power cut. */
  durable: Uint8Array;
}

interface DirectoryNode {
  kind: 'directory';
  entries: Map<string, Node>;
  durable: Map<string, Node>;
}

type Node = FileNode | DirectoryNode;

/** What of the unflushed state survives {@link FaultyFiles.reboot}. */
export type Survival = 'flushed only' | 'names but not contents' | 'half of each content';

export const SURVIVALS: readonly Survival[] = ['flushed only', 'names but not contents', 'half of each content'];

export interface Faults {
  /** The machine stops at this call (1 is the first that changes anything) and at all later ones. */
  stopAt?: number;
  /** This call fails with `code`, later ones work. */
  failAt?: number;
  code?: string;
  /** Most bytes one write takes. */
  shortWrites?: number;
  /** Bytes the disk holds in all. */
  capacity?: number;
}

/** Implements {@link FileSystem} with faults. The root and the directories of the constructor exist and are durable. */
export class FaultyFiles implements FileSystem {
  /** Calls so far that change something. */
  calls = 0;
  faults: Faults = {};
  private root = newDirectory();
  private readonly descriptors = new Map<number, FileNode>();
  private nextDescriptor = 3;
  private stopped = false;

  constructor(directories: readonly string[] = [], faults: Faults = {}) {
    for (const path of directories) this.makeDirectory(path);
    this.sync(this.root);
    this.calls = 0;
    this.faults = faults;
  }

  /** The machine starts again with what survived. Faults are over. */
  reboot(survival: Survival): void {
    this.stopped = false;
    this.faults = {};
    this.descriptors.clear();
    this.root = survive(this.root, survival) as DirectoryNode;
    this.sync(this.root);
    this.calls = 0;
  }

  /** All files by path, for comparing. */
  snapshot(): Record<string, Uint8Array> {
    const found: Record<string, Uint8Array> = {};
    const visit = (node: Node, path: string): void => {
      if (node.kind === 'file') found[path] = node.bytes;
      else for (const [name, child] of node.entries) visit(child, `${path}/${name}`);
    };
    visit(this.root, '');
    return found;
  }

  /** Replaces a file's bytes behind everyone's back. */
  tamper(path: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const node = this.find(path);
    if (node?.kind !== 'file') throw errno('ENOENT', path);
    node.bytes = change(node.bytes.slice());
    node.durable = node.bytes;
  }

  open(path: string, flags: 'r' | 'w' | 'wx'): number {
    if (flags !== 'r') this.step();
    this.assertRunning();
    let node = this.find(path);
    if (flags === 'r' && node === undefined) throw errno('ENOENT', path);
    if (flags === 'wx' && node !== undefined) throw errno('EEXIST', path);
    if (node?.kind === 'directory') throw errno('EISDIR', path);
    if (node === undefined) {
      node = { kind: 'file', bytes: new Uint8Array(0), durable: new Uint8Array(0) };
      this.directory(dirname(path)).entries.set(basename(path), node);
    } else if (flags === 'w') node.bytes = new Uint8Array(0);
    this.descriptors.set(this.nextDescriptor, node);
    return this.nextDescriptor++;
  }

  read(fd: number, target: Uint8Array, offset: number, length: number, position: number): number {
    this.assertRunning();
    const bytes = this.file(fd).bytes.subarray(position, position + length);
    target.set(bytes, offset);
    return bytes.length;
  }

  write(fd: number, source: Uint8Array, offset: number, length: number): number {
    this.step();
    const node = this.file(fd);
    const room = (this.faults.capacity ?? Infinity) - this.used();
    const count = Math.min(length, room, this.faults.shortWrites ?? Infinity);
    if (count <= 0 && length > 0) throw errno('ENOSPC', 'write');
    node.bytes = Buffer.concat([node.bytes, source.subarray(offset, offset + count)]);
    return count;
  }

  fsync(fd: number): void {
    this.step();
    const node = this.file(fd);
    node.durable = node.bytes;
  }

  fsyncDirectory(path: string): void {
    this.step();
    const node = this.directory(path);
    node.durable = new Map(node.entries);
  }

  close(fd: number): void {
    this.assertRunning();
    if (!this.descriptors.delete(fd)) throw errno('EBADF', 'close');
  }

  rename(from: string, to: string): void {
    this.step();
    const node = this.find(from);
    if (node === undefined) throw errno('ENOENT', from);
    const target = this.find(to);
    if (target?.kind === 'directory' && target.entries.size > 0) throw errno('ENOTEMPTY', to);
    this.directory(dirname(from)).entries.delete(basename(from));
    this.directory(dirname(to)).entries.set(basename(to), node);
  }

  makeDirectory(path: string): void {
    this.step();
    let node = this.root;
    for (const name of parts(path)) {
      let child = node.entries.get(name);
      if (child === undefined) node.entries.set(name, (child = newDirectory()));
      if (child.kind !== 'directory') throw errno('ENOTDIR', path);
      node = child;
    }
  }

  remove(path: string): void {
    this.step();
    const parent = this.find(dirname(path));
    if (parent?.kind === 'directory') parent.entries.delete(basename(path));
  }

  list(path: string): string[] {
    this.assertRunning();
    return [...this.directory(path).entries.keys()].sort();
  }

  status(path: string): FileStatus | undefined {
    this.assertRunning();
    const node = this.find(path);
    if (node === undefined) return undefined;
    return { kind: node.kind, size: node.kind === 'file' ? node.bytes.length : 0, modifiedMs: 0 };
  }

  private step(): void {
    this.assertRunning();
    this.calls++;
    if (this.calls === this.faults.stopAt) this.stopped = true;
    this.assertRunning();
    if (this.calls === this.faults.failAt) throw errno(this.faults.code ?? 'EIO', 'call');
  }

  private assertRunning(): void {
    if (this.stopped) throw errno('EIO', 'stopped');
  }

  private used(): number {
    return Object.values(this.snapshot()).reduce((sum, bytes) => sum + bytes.length, 0);
  }

  private find(path: string): Node | undefined {
    let node: Node | undefined = this.root;
    for (const name of parts(path)) {
      if (node?.kind !== 'directory') return undefined;
      node = node.entries.get(name);
    }
    return node;
  }

  private directory(path: string): DirectoryNode {
    const node = this.find(path);
    if (node === undefined) throw errno('ENOENT', path);
    if (node.kind !== 'directory') throw errno('ENOTDIR', path);
    return node;
  }

  private file(fd: number): FileNode {
    const node = this.descriptors.get(fd);
    if (node === undefined) throw errno('EBADF', String(fd));
    return node;
  }

  private sync(node: Node): void {
    if (node.kind === 'file') {
      node.durable = node.bytes;
      return;
    }
    node.durable = new Map(node.entries);
    for (const child of node.entries.values()) this.sync(child);
  }
}

/** Whether `action` throws an {@link IoError}; anything else passes through. */
export function failsWithIoError(action: () => void): boolean {
  try {
    action();
    return false;
  } catch (error) {
    if (error instanceof IoError) return true;
    throw error;
  }
}

function newDirectory(): DirectoryNode {
  return { kind: 'directory', entries: new Map(), durable: new Map() };
}

function parts(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

function survive(node: Node, survival: Survival): Node {
  if (node.kind === 'file') {
    const kept = Math.floor((node.durable.length + node.bytes.length) / 2);
    const bytes =
      survival === 'half of each content' && node.bytes.length > node.durable.length
        ? node.bytes.subarray(0, kept)
        : node.durable;
    return { kind: 'file', bytes, durable: bytes };
  }
  const names = survival === 'names but not contents' ? node.entries : node.durable;
  const directory = newDirectory();
  for (const [name, child] of names) directory.entries.set(name, survive(child, survival));
  return directory;
}

function errno(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}
