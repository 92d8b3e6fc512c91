// What it costs to compute in WebAssembly instead of the native library: times of the same jobs in both, as a table.
//
//   npm run build && node test/bench/fallback.mjs [--rounds N] [--threads N]
//
// Each turn is a process of its own, native and WebAssembly by turns. FALLBACK_FACTOR in src/native.ts, which every
// command prints where the library is missing, is the range of the last column.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';

const BLOCKS = 5;
const SUITES = [
  ['train a codec, preset `default`: a step', 'codec-step', { preset: 'default' }],
  ['tokenize, preset `default`: 16 pictures', 'codec-encode', { preset: 'default' }],
  ['train a prior of 4 layers of 256: a step', 'gpt-step', {}],
];

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: String(availableParallelism()) },
    turn: { type: 'string' },
  },
});
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

if (flags.turn) {
  const [, suite, options] = SUITES[Number(flags.turn)];
  const { contestant } = await import(`./ours/${suite}.mjs`);
  const { run } = await contestant({ threads: Number(flags.threads), ...options });
  console.log(JSON.stringify(await run(BLOCKS)));
  process.exit(0);
}

console.log('| job | native | WebAssembly | factor |\n|---|---|---|---|');
for (const [index, [title]] of SUITES.entries()) {
  const times = { native: [], wasm: [] };
  for (let round = 0; round < Number(flags.rounds); round++) {
    for (const kind of ['native', 'wasm']) {
      const env = { ...process.env, TESSERAE_ORT: kind, TESSERAE_THREADS: flags.threads };
      const stdout = execFileSync(
        process.execPath,
        [fileURLToPath(import.meta.url), '--turn', String(index), '--threads', flags.threads],
        { env, encoding: 'utf8' },
      );
      times[kind].push(...JSON.parse(stdout.trim().split('\n').at(-1)));
    }
  }
  const [native, wasm] = [median(times.native), median(times.wasm)];
  console.log(`| ${title} | ${native.toFixed(0)} ms | ${wasm.toFixed(0)} ms | ${(wasm / native).toFixed(1)} |`);
}
