import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createHash } from 'node:crypto';
import nodeFs, {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CorruptError, IoError, LockError, UsageError } from '../src/errors.js';
import { canonicalJson, parseJson } from '../src/json.js';
import { completeCommit, sweepTemporaries, writeFilesAtomic } from '../src/files/journal.js';
import { createDirectory, temporaryName, writeFileAtomic } from '../src/files/commit.js';
import { fileError } from '../src/files/system.js';
import { isPlainName } from '../src/names.js';
import { readFile, readHead, readJson, sha256File } from '../src/files/read.js';
import { acquireLock, openOutput, prepareOutput } from '../src/output.js';
import { FaultyFiles, SURVIVALS, failsWithIoError } from './support/faulty-files.js';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tesserae-files-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('utf8');

describe('writeFileAtomic', () => {
  test('writes bytes and text and leaves no temporary behind', () => {
    writeFileAtomic(join(directory, 'a.txt'), 'grüße');
    writeFileAtomic(join(directory, 'b.bin'), Uint8Array.of(1, 2, 3));
    expect(readdirSync(directory).sort()).toEqual(['a.txt', 'b.bin']);
    expect(readFileSync(join(directory, 'a.txt'), 'utf8')).toBe('grüße');
    expect([...readFile(join(directory, 'b.bin'))]).toEqual([1, 2, 3]);
  });

  test('holds the old or the new content after a stop at any call', () => {
    forEachStop(
      () => prepared({ '/d/f': 'old content' }),
      (files) => writeFileAtomic('/d/f', 'new content', files),
      (files, finished) => {
        const found = text(files.snapshot()['/d/f']);
        expect(finished ? ['new content'] : ['old content', 'new content']).toContain(found);
        expect(sweepTemporaries('/d', files).length).toBeLessThanOrEqual(1);
        expect(Object.keys(files.snapshot())).toEqual(['/d/f']);
      },
    );
  });

  test('writes everything when each write takes only three bytes', () => {
    const files = new FaultyFiles(['/d'], { shortWrites: 3 });
    writeFileAtomic('/d/f', 'a longer content', files);
    expect(text(files.snapshot()['/d/f'])).toBe('a longer content');
  });

  test('keeps the old file and no temporary when the disk fills at any byte', () => {
    for (let room = 0; room < 11; room++) {
      const files = prepared({ '/d/f': 'old' });
      files.faults = { capacity: 3 + room };
      expect(() => writeFileAtomic('/d/f', 'new content', files)).toThrow(
        expect.objectContaining({ code: 'E_DISK_FULL', exitCode: 5 }),
      );
      expect(Object.entries(files.snapshot()).map(([path, bytes]) => [path, text(bytes)])).toEqual([['/d/f', 'old']]);
    }
  });

  test('keeps the old file when any single call fails', () => {
    const calls = countCalls(prepared({ '/d/f': 'old' }), (files) => writeFileAtomic('/d/f', 'new', files));
    for (let failAt = 1; failAt <= calls; failAt++) {
      const files = prepared({ '/d/f': 'old' });
      files.faults = { failAt, code: 'EIO' };
      expect(() => writeFileAtomic('/d/f', 'new', files)).toThrow(IoError);
      expect(Object.keys(files.snapshot())).toEqual(['/d/f']);
      expect(['old', 'new']).toContain(text(files.snapshot()['/d/f']));
    }
  });
});

describe('writeFilesAtomic', () => {
  test('holds all old or all new files after a stop at any call, once the commit is completed', () => {
    forEachStop(
      () => prepared({ '/d/a': 'old a', '/d/b': 'old b' }),
      writeBoth,
      (files, finished) => {
        sweepTemporaries('/d', files);
        const found = Object.entries(files.snapshot())
          .map(([path, bytes]) => `${path}=${text(bytes)}`)
          .sort();
        const old = ['/d/a=old a', '/d/b=old b'];
        const renewed = ['/d/a=new a', '/d/b=new b'];
        expect(finished ? [renewed] : [old, renewed]).toContainEqual(found);
      },
    );
  });

  test('completes an interrupted commit even when completing stops at any call', () => {
    expect(interrupted().status('/d/.commit.json')).toBeDefined();
    forEachStop(
      interrupted,
      (files) => completeCommit('/d', files),
      (files) => {
        completeCommit('/d', files);
        expect(text(files.snapshot()['/d/a'])).toBe('new a');
        expect(text(files.snapshot()['/d/b'])).toBe('new b');
        expect(files.status('/d/.commit.json')).toBeUndefined();
      },
    );
  });

  test('refuses a journal that names another directory', () => {
    writeFileSync(join(directory, '.commit.json'), JSON.stringify(['../x.tmp-1-0123456789ab']));
    expect(() => completeCommit(directory)).toThrow(expect.objectContaining({ code: 'E_JOURNAL' }));
  });
});

describe('reading', () => {
  test('says what is missing, what is no file and what is too large', () => {
    writeFileSync(join(directory, 'big'), 'x'.repeat(100));
    expect(() => readFile(join(directory, 'none'))).toThrow(
      expect.objectContaining({ code: 'E_NOT_FOUND', exitCode: 2 }),
    );
    expect(() => readFile(directory)).toThrow(expect.objectContaining({ code: 'E_NOT_A_FILE' }));
    expect(() => readFile(join(directory, 'big'), { limit: 99 })).toThrow(
      expect.objectContaining({ code: 'E_FILE_TOO_LARGE', exitCode: 4 }),
    );
    expect(readHead(join(directory, 'big'), 4)).toHaveLength(4);
    expect(readHead(join(directory, 'big'), 400)).toHaveLength(100);
  });

  test('hashes a file larger than one chunk as a whole', () => {
    const bytes = Buffer.alloc((1 << 20) + 17, 7);
    writeFileSync(join(directory, 'f'), bytes);
    expect(sha256File(join(directory, 'f'))).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  test('translates the refusals of the system', () => {
    const errors = ['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EACCES', 'ENOENT'].map((code) =>
      fileError(Object.assign(new Error(code), { code }), '/p', 'writing'),
    );
    expect(errors.map((error) => error.code)).toEqual([
      'E_DISK_FULL',
      'E_DISK_FULL',
      'E_IO',
      'E_IO',
      'E_IO',
      'E_NOT_FOUND',
    ]);
    expect(fileError(Object.assign(new Error('x'), { code: 'EROFS' }), '/p/q', 'writing').message).toContain(
      '/p/q: writing failed, the file system is read-only',
    );
  });
});

describe('JSON', () => {
  test.each([
    ['a duplicate key', '{"a":1,"a":2}'],
    ['a duplicate key in another spelling', '{"a":1,"\\u0061":2}'],
    ['a duplicate key far inside', '[{"x":{"b":1,"c":{},"b":2}}]'],
    ['a __proto__ key', '{"__proto__":{"x":1}}'],
    ['deep nesting', `${'['.repeat(100)}${']'.repeat(100)}`],
    ['a nesting bomb', '['.repeat(1_000_000)],
    ['trailing text', '{} x'],
    ['nothing', ''],
  ])('refuses %s', (_, json) => {
    expect(() => parseJson(json, 'f.json')).toThrow(CorruptError);
  });

  test('reads what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const json = JSON.stringify(value);
        if (json.includes('__proto__')) return;
        expect(parseJson(json, 'f')).toEqual(JSON.parse(json));
      }),
    );
  });

  test('reads a string of several megabytes', () => {
    const value = { a: `${'x\\"'.repeat(2_000_000)}` };
    expect(parseJson(JSON.stringify(value), 'f')).toEqual(value);
  });

  test('names the file that is not UTF-8', () => {
    writeFileSync(join(directory, 'f.json'), Uint8Array.of(0x22, 0xff, 0x22));
    expect(() => readJson(join(directory, 'f.json'))).toThrow(/E_JSON .*f\.json/);
  });

  test('is canonical: equal values give equal text', () => {
    expect(canonicalJson({ b: [1, { d: null, c: 'x' }], a: undefined })).toBe('{"b":[1,{"c":"x","d":null}]}');
    expect(() => canonicalJson({ a: Number.NaN })).toThrow(UsageError);
  });
});

describe('prepareOutput', () => {
  test('creates what is missing and accepts what is empty', () => {
    prepareOutput(join(directory, 'a/b'));
    expect(existsSync(join(directory, 'a/b'))).toBe(true);
    prepareOutput(join(directory, 'a/b'));
  });

  test('refuses content unless told to resume or to force', () => {
    writeFileSync(join(directory, 'manifest.json'), '{}');
    writeFileSync(join(directory, 'thesis.tex'), 'dear');
    expect(() => prepareOutput(directory)).toThrow(expect.objectContaining({ code: 'E_OUTPUT_EXISTS', exitCode: 2 }));
    prepareOutput(directory, { resume: true });
    prepareOutput(directory, { force: true, owned: ['manifest.json'] });
    expect(readdirSync(directory)).toEqual(['thesis.tex']);
  });

  test('does not count temporaries and the lock as content', () => {
    writeFileSync(temporaryName(join(directory, 'part')), 'x');
    const lock = acquireLock(directory);
    expect(() => prepareOutput(directory)).not.toThrow();
    lock.release();
  });

  test('refuses a file', () => {
    writeFileSync(join(directory, 'f'), '');
    expect(() => prepareOutput(join(directory, 'f'))).toThrow(
      expect.objectContaining({ code: 'E_OUTPUT_NOT_DIRECTORY' }),
    );
  });

  test('follows a link to a directory', () => {
    mkdirSync(join(directory, 'real'));
    symlinkSync(join(directory, 'real'), join(directory, 'link'));
    expect(() => prepareOutput(join(directory, 'link'))).not.toThrow();
  });
});

describe('the lock', () => {
  test('keeps a second writer out until it is released', () => {
    const lock = acquireLock(directory);
    expect(() => acquireLock(directory)).toThrow(LockError);
    lock.release();
    acquireLock(directory).release();
    expect(existsSync(lockFile())).toBe(false);
  });

  test('of a dead process is reclaimed', () => {
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    lockAs({ pid, start: 1, host: hostname() });
    expect(() => acquireLock(directory).release()).not.toThrow();
  });

  test.runIf(existsSync('/proc/self/stat'))('of a process whose number was given to another is reclaimed', () => {
    lockAs({ pid: process.pid, start: 1, host: hostname() });
    expect(() => acquireLock(directory).release()).not.toThrow();
  });

  test('of a process on another machine is respected', () => {
    lockAs({ pid: 1, start: 1, host: `not-${hostname()}` });
    expect(() => acquireLock(directory)).toThrow(/process 1 on not-/);
  });

  test('that is being written is respected, an old unreadable one is reclaimed', () => {
    writeFileSync(lockFile(), '');
    expect(() => acquireLock(directory)).toThrow(LockError);
    utimesSync(lockFile(), 0, 0);
    acquireLock(directory).release();
  });

  test('is released when its process ends, and reclaimed when it was killed', async () => {
    const program = writeProgram(`
      import { acquireLock } from './src/output.js';
      acquireLock(process.argv[2]);
      console.log('locked');
      if (process.argv[3] === 'wait') setInterval(() => {}, 1000);
    `);
    expect(spawnSync(process.execPath, [program, directory]).status).toBe(0);
    expect(existsSync(lockFile())).toBe(false);

    const child = spawn(process.execPath, [program, directory, 'wait'], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    expect(() => acquireLock(directory)).toThrow(new RegExp(`process ${child.pid} is writing`));
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(() => acquireLock(directory).release()).not.toThrow();
  });

  test('is heard of before the half-made output', () => {
    const lock = openOutput(directory);
    writeFileSync(join(directory, 'part-00000.msgpack'), 'x');
    expect(() => openOutput(directory)).toThrow(LockError);
    lock.release();
    expect(() => openOutput(directory)).toThrow(expect.objectContaining({ code: 'E_OUTPUT_EXISTS' }));
    expect(existsSync(lockFile())).toBe(false);
  });
});

test('plain names stay in their directory', () => {
  expect(['a', 'model.json', 'tokenizer_1-b.json'].every(isPlainName)).toBe(true);
  expect(['', '.', '..', '../a', 'a/b', '/a', '-a', '.hidden', 'a\\b', 'a\0', 'C:a'].some(isPlainName)).toBe(false);
});

/** A file system that durably holds `contents` in /d. */
function prepared(contents: Record<string, string>): FaultyFiles {
  const files = new FaultyFiles(['/d']);
  for (const [path, content] of Object.entries(contents)) writeFileAtomic(path, content, files);
  files.reboot('flushed only');
  return files;
}

function countCalls(files: FaultyFiles, action: (files: FaultyFiles) => void): number {
  files.calls = 0;
  action(files);
  return files.calls;
}

function writeBoth(files: FaultyFiles): void {
  writeFilesAtomic('/d', { a: 'new a', b: 'new b' }, files);
}

/** Stopped at the second rename of {@link writeBoth}. */
function interrupted(): FaultyFiles {
  const files = prepared({ '/d/a': 'old a', '/d/b': 'old b' });
  files.faults = { stopAt: countCalls(prepared({}), writeBoth) - 3 };
  expect(() => writeBoth(files)).toThrow(IoError);
  files.reboot('flushed only');
  return files;
}

function lockFile(): string {
  return join(directory, '.tesserae.lock');
}

function lockAs(holder: object): void {
  writeFileSync(lockFile(), JSON.stringify(holder));
}

/** Compiles src/files and what it imports beside a program that uses it, for a process of its own. */
function writeProgram(source: string): string {
  const root = join(directory, 'program');
  mkdirSync(join(root, 'src/files'), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  for (const name of [
    'errors',
    'hash',
    'node-builtin',
    'json',
    'names',
    'output',
    'files/system',
    'files/read',
    'files/commit',
    'files/journal',
  ]) {
    const code = readFileSync(join(import.meta.dirname, `../src/${name}.ts`), 'utf8');
    const { outputText } = transpileModule(code, {
      compilerOptions: { module: ModuleKind.ESNext, target: ScriptTarget.ES2022 },
    });
    writeFileSync(join(root, `src/${name}.js`), outputText);
  }
  writeFileSync(join(root, 'main.js'), source);
  return join(root, 'main.js');
}

/**
 * Runs `action` once for each call it makes and each way to lose what was not flushed, stopped at that call, then
 * reboots and checks; the last run is not stopped (`finished`).
 */
function forEachStop(
  make: () => FaultyFiles,
  action: (files: FaultyFiles) => void,
  check: (files: FaultyFiles, finished: boolean) => void,
): void {
  const calls = countCalls(make(), action);
  expect(calls).toBeGreaterThan(3);
  for (const survival of SURVIVALS) {
    for (let stopAt = 1; stopAt <= calls + 1; stopAt++) {
      const files = make();
      files.faults = { stopAt };
      expect(failsWithIoError(() => action(files))).toBe(stopAt <= calls);
      files.reboot(survival);
      check(files, stopAt > calls);
    }
  }
}

test.skipIf(process.platform === 'win32')('a pipe in place of a lock is refused at once, and named', () => {
  execFileSync('mkfifo', [lockFile()]);
  expect(() => acquireLock(directory)).toThrow(
    expect.objectContaining({
      code: 'E_LOCKED',
      exitCode: 6,
      message: expect.stringContaining('found a pipe, socket or device in its place'),
    }),
  );
});

test.each(['EPERM', 'ENOTSUP', 'EMLINK'])('a file system that answers links with %s is locked all the same', (code) => {
  const { linkSync } = nodeFs;
  nodeFs.linkSync = () => {
    throw Object.assign(new Error(code), { code });
  };
  syncBuiltinESMExports();
  try {
    const lock = acquireLock(directory);
    expect(() => acquireLock(directory)).toThrow(/E_LOCKED/);
    expect(readdirSync(directory)).toEqual(['.tesserae.lock']);
    lock.release();
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    lockAs({ pid, start: 1, host: hostname() });
    acquireLock(directory).release();
    expect(readdirSync(directory)).toEqual([]);
  } finally {
    nodeFs.linkSync = linkSync;
    syncBuiltinESMExports();
  }
});

describe('a place that takes no new directories', () => {
  test.skipIf(!existsSync('/proc/self'))('is named, and does not hang', () => {
    expect(() => createDirectory('/proc/tesserae/out')).toThrow(
      expect.objectContaining({ exitCode: 5, message: expect.stringContaining('/proc/tesserae') }),
    );
  });

  test.skipIf(process.getuid?.() === 0 || process.platform === 'win32')('for want of permission exits 5', () => {
    chmodSync(directory, 0o500);
    expect(() => openOutput(join(directory, 'a/b'))).toThrow(expect.objectContaining({ code: 'E_IO', exitCode: 5 }));
    chmodSync(directory, 0o700);
  });
});
