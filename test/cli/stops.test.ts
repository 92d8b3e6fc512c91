// Runs that are stopped: by kill -9, by signals, by a full disk, by another process. What was committed survives, and
// --resume ends with the bytes of a run that nothing disturbed.
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CODEC_SETTINGS,
  errorsOf,
  PRIOR_SETTINGS,
  run,
  sha256Of,
  start,
  succeed,
  temporaryFolder,
  until,
  writeInputs,
  writeTokens,
} from './support.js';

const folder = temporaryFolder();
const world = folder.path;
const at = (...names: string[]): string => join(world, ...names);

beforeAll(async () => {
  await writeInputs(world);
  // Steps enough to be stopped among them.
  writeFileSync(
    at('long.json'),
    JSON.stringify({ ...CODEC_SETTINGS, training: { ...CODEC_SETTINGS.training, steps: 150, checkpointEvery: 10 } }),
  );
  // Evaluations enough for the best weights to be earlier ones than the last, which a resumed run must still have.
  writeFileSync(
    at('greedy.json'),
    JSON.stringify({
      ...PRIOR_SETTINGS,
      training: { ...PRIOR_SETTINGS.training, steps: 80, learningRate: 0.05, evalEvery: 4, patience: 0 },
    }),
  );
  await writeTokens(world);
}, 120_000);
afterAll(folder.remove);

const trainCodec = (out: string): string[] => [
  'train',
  'codec',
  '--data',
  'data',
  '--out',
  out,
  '--config',
  'long.json',
];
const trainPrior = (out: string): string[] => [
  'train',
  'prior',
  '--tokens',
  'tokens',
  '--out',
  out,
  '--config',
  'greedy.json',
];
const tokenize = (out: string): string[] => ['tokenize', '--data', 'data', '--codec', 'codec', '--out', out];

const checkpoints = (out: string): string[] =>
  existsSync(at(out, 'checkpoints'))
    ? readdirSync(at(out, 'checkpoints')).filter((name) => /^step-\d+$/.test(name))
    : [];

/** sha256 of what a run is for. */
function resultOf(out: string): Record<string, string> {
  const names = [
    'model.json',
    'model.safetensors',
    'metrics.jsonl',
    'tokenizer.json',
    'manifest.json',
    ...readdirSync(at(out)).filter((name) => name.startsWith('part-')),
  ];
  return Object.fromEntries(
    names.filter((name) => existsSync(at(out, name))).map((name) => [name, sha256Of(at(out, name))]),
  );
}

/** Kills the run each time a condition holds, then resumes it; at last lets it end. @returns how often it was still running. */
async function killAndResume(args: string[], moments: readonly (() => Promise<void>)[]): Promise<number> {
  let killed = 0;
  for (const moment of moments) {
    const { child, finished } = start(world, killed > 0 ? [...args, '--resume'] : args);
    await Promise.race([moment(), finished]);
    child.kill('SIGKILL');
    if ((await finished).signal === 'SIGKILL') killed++;
  }
  await succeed(world, [...args, '--resume']);
  return killed;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('after kill -9, --resume ends with the bytes of an undisturbed run:', () => {
  it('train codec', async () => {
    await succeed(world, trainCodec('codec-whole'));
    const moments = [0, 9].map((ms, i) => async () => {
      const before = checkpoints('codec-killed').join();
      await until(
        () => checkpoints('codec-killed').length > 0 && checkpoints('codec-killed').join() !== (i === 0 ? '' : before),
        'a checkpoint',
      );
      await pause(ms);
    });
    expect(await killAndResume(trainCodec('codec-killed'), moments)).toBeGreaterThan(0);
    expect(resultOf('codec-killed')).toEqual(resultOf('codec-whole'));
    expect(Object.keys(resultOf('codec-whole'))).toEqual(['model.json', 'model.safetensors', 'metrics.jsonl']);
  });

  it('train prior', async () => {
    await succeed(world, trainPrior('prior-whole'));
    const moments = [5].map((ms) => async () => {
      const before = checkpoints('prior-killed').join();
      await until(() => checkpoints('prior-killed').join() !== before, 'a checkpoint');
      await pause(ms);
    });
    expect(await killAndResume(trainPrior('prior-killed'), moments)).toBeGreaterThan(0);
    expect(resultOf('prior-killed')).toEqual(resultOf('prior-whole'));
    const { training } = JSON.parse(readFileSync(at('prior-whole', 'model.json'), 'utf8')) as {
      training: { kept: { rule: string; step: number } };
    };
    expect(training.kept.rule).toBe('best');
    expect(training.kept.step).toBeLessThan(80);
  });

  it('tokenize', async () => {
    const appears = (pattern: RegExp) => () =>
      until(
        () => existsSync(at('tokens-killed')) && readdirSync(at('tokens-killed')).some((name) => pattern.test(name)),
        String(pattern),
      );
    await killAndResume(tokenize('tokens-killed'), [
      appears(/^\.tesserae\.lock$/),
      appears(/^codec$/),
      appears(/^part-00000\.msgpack/),
    ]);
    expect(resultOf('tokens-killed')).toEqual(resultOf('tokens'));
    expect(readdirSync(at('tokens-killed')).filter((name) => name.includes('.tmp-') || name.includes('lock'))).toEqual(
      [],
    );
  });
});

describe('a signal', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('%s finishes the step, saves and exits %i', async (signal, expected) => {
    const out = `codec-${signal}`;
    const { child, finished } = start(world, trainCodec(out));
    await until(() => existsSync(at(out, 'metrics.jsonl')), 'the first ten steps');
    child.kill(signal);
    const { code, stdout, stderr } = await finished;
    expect({ code, stdout }).toEqual({ code: expected, stdout: '' });
    expect(errorsOf(stderr)).toEqual([
      expect.stringMatching(/^Stopping after this step/),
      expect.stringMatching(
        /^E_ABORTED training: stopped after step (\d+) of 150, which is saved\. Continue with --resume\.$/,
      ),
      `Continue with: tesserae ${trainCodec(out).join(' ')} --resume`,
    ]);
    const step = Number(/after step (\d+) of/.exec(stderr)![1]);
    expect(checkpoints(out).map((name) => Number(name.slice(5)))).toContain(step);
    if (signal !== 'SIGINT') return;
    const unfinished = await succeed(world, ['inspect', out, '--json']);
    expect(JSON.parse(unfinished.stdout)).toMatchObject({
      kind: 'run',
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
      model: 'vqvae',
      step,
      steps: 150,
    });
    await succeed(world, [...trainCodec(out), '--resume']);
    expect(resultOf(out)).toEqual(resultOf('codec-whole'));
  });

  it('after a signal ends the run at once, also one that is inside native code', async () => {
    const { child, finished } = start(world, trainCodec('codec-twice'));
    let said = '';
    child.stderr!.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await until(() => existsSync(at('codec-twice', 'metrics.jsonl')), 'the first ten steps');
    child.kill('SIGINT');
    await until(() => said.includes('Stopping'), 'the answer to the first signal');
    child.kill('SIGTERM');
    const { code, signal, stderr } = await finished;
    // Had the first one been waited for, there would be an exit code and a line.
    expect({ code, signal }).toEqual({ code: null, signal: 'SIGTERM' });
    expect(stderr).not.toContain('E_ABORTED');
    await succeed(world, [...trainCodec('codec-twice'), '--resume']);
    expect(resultOf('codec-twice')).toEqual(resultOf('codec-whole'));
  });

  /** Runs a command of the session that at last computes without end. */
  function endless(body: string): {
    child: ReturnType<typeof spawn>;
    told: (what: string) => Promise<void>;
    ended: Promise<NodeJS.Signals | null>;
  } {
    const session = new URL('../../dist/src/cli/session.js', import.meta.url).href;
    const program = `const { Session } = await import('${session}'); const session = new Session(); await session.run(async () => { ${body} for (;;); });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
    return {
      child,
      told: (what) => until(() => said.includes(what), what),
      ended: new Promise((resolve) => child.on('close', (_, signal) => resolve(signal))),
    };
  }

  it('ends a process that no longer comes to run JavaScript: the first where there is nothing to save, else the second', async () => {
    const plain = endless(`console.log('begun');`);
    await plain.told('begun');
    plain.child.kill('SIGTERM');
    expect(await plain.ended).toBe('SIGTERM');
    const gentle = endless(
      `const { signal } = session; console.log('begun'); while (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, 1)); console.log('blocked');`,
    );
    await gentle.told('begun');
    gentle.child.kill('SIGHUP');
    await gentle.told('blocked');
    gentle.child.kill('SIGINT');
    expect(await gentle.ended).toBe('SIGINT');
  });
});

describe('two processes and one output', () => {
  it('let one win and the other exit 6, and a dead one’s lock is reclaimed', async () => {
    const first = start(world, trainCodec('shared'));
    await until(() => existsSync(at('shared', '.tesserae.lock')), 'the lock');
    const second = await run(world, trainCodec('shared'));
    expect(second).toMatchObject({ code: 6, stdout: '' });
    expect(errorsOf(second.stderr)).toEqual([
      expect.stringMatching(new RegExp(`^E_LOCKED shared: in use, process ${first.child.pid} is writing to it`)),
    ]);
    first.child.kill('SIGKILL');
    await first.finished;
    expect(existsSync(at('shared', '.tesserae.lock'))).toBe(true);
    await succeed(world, [...trainCodec('shared'), '--resume']);
    expect(resultOf('shared')).toEqual(resultOf('codec-whole'));
  });
});

describe('a full disk', () => {
  it('exits 5 with one line, keeps what was there, and a rerun completes', async () => {
    // No file may grow beyond 4 KiB: the weights do not fit, metrics and locks do.
    const limited = await run(world, trainCodec('full'), { shell: (command) => `ulimit -f 4; exec ${command}` });
    expect(limited).toMatchObject({ code: 5, stdout: '' });
    expect(errorsOf(limited.stderr)).toEqual([expect.stringMatching(/^E_(IO|DISK_FULL) full.checkpoints/)]);
    await succeed(world, [...trainCodec('full'), '--resume']);
    expect(resultOf('full')).toEqual(resultOf('codec-whole'));
  });

  it.skipIf(!canMount())('of 64 KiB stops tokenizing with exit 5 and leaves finished tokens intact', async () => {
    mkdirSync(at('disk'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', at('disk')]);
    try {
      writeFileSync(at('disk', 'ballast'), new Uint8Array(40 * 1024));
      const { code, stderr } = await run(world, tokenize('disk/tokens'));
      expect(code).toBe(5);
      expect(errorsOf(stderr)).toEqual([
        expect.stringMatching(/^E_DISK_FULL disk.tokens.*no space left.*Free some space/),
      ]);
      expect(readFileSync(at('disk', 'ballast'))).toHaveLength(40 * 1024);
    } finally {
      execFileSync('umount', [at('disk')]);
    }
  });
});

it.skipIf(!canMount())('a parent that is read-only exits 5, and models in it are read', async () => {
  mkdirSync(at('read-only'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', at('read-only')]);
  try {
    cpSync(at('codec'), at('read-only', 'codec'), { recursive: true });
    // A save that was cut short after its bytes were durable.
    renameSync(at('read-only', 'codec', 'model.json'), at('read-only', 'codec', 'model.json.tmp-1-0123456789ab'));
    writeFileSync(at('read-only', 'codec', '.commit.json'), '["model.json.tmp-1-0123456789ab"]');
    execFileSync('mount', ['-o', 'remount,ro', at('read-only')]);
    expect(await run(world, tokenize('read-only/deep/tokens'))).toMatchObject({
      code: 5,
      stderr: expect.stringMatching(/^E_IO .*read-only: .*the file system is read-only/),
    });
    await succeed(world, ['inspect', 'read-only/codec']);
  } finally {
    execFileSync('umount', [at('read-only')]);
  }
});

/** Only root may mount a small disk, and not in every container. */
function canMount(): boolean {
  if (process.getuid?.() !== 0) return false;
  const probe = temporaryFolder();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', probe.path], { stdio: 'ignore' });
    execFileSync('umount', [probe.path]);
    return true;
  } catch {
    return false;
  } finally {
    probe.remove();
  }
}
