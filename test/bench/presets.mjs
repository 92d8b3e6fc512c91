// Every codec preset beside its PyTorch twin, as a Markdown table:
//   node test/bench/presets.mjs [--preset a,b] [--peer eager|compiled] [--rounds N] [--threads N] [--calm CORES]
// Times are medians; a ratio is the median over rounds of our time / PyTorch's, below 1 where ours is faster.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { presetNames } from '../../dist/src/sdk/presets.js';

const { values } = parseArgs({
  options: {
    preset: { type: 'string' },
    peer: { type: 'string', default: 'eager' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    calm: { type: 'string', default: '0.15' },
  },
});

/** The peer's result and ours. A process of its own: what one preset leaves in memory does not meet the next. */
function resultsOf(suite, preset) {
  const { rounds, threads, calm, peer } = values;
  const args = [
    join(import.meta.dirname, 'compare.mjs'),
    suite,
    '--preset',
    preset,
    '--only',
    `${peer},ours`,
    '--rounds',
    rounds,
    '--threads',
    threads,
    '--calm',
    calm,
    '--json',
  ];
  const { status, stdout } = spawnSync(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${suite} ${preset}: ended with ${status}`);
  return JSON.parse(stdout).results;
}

const digits = (value) => value.toFixed(value < 100 ? 1 : 0);

console.log(
  '| preset | train step, ms | PyTorch | ratio | pictures encoded/s | PyTorch | ratio | others, cores |\n|---|---|---|---|---|---|---|---|',
);
for (const preset of values.preset?.split(',') ?? presetNames('codec')) {
  const [step, encode] = ['codec-step', 'codec-encode'].map((suite) => resultsOf(suite, preset));
  const cells = [
    ...[step[1].medianMs, step[0].medianMs].map(digits),
    step[1].ratio.toFixed(2),
    ...[encode[1].rate, encode[0].rate].map(digits),
    encode[1].ratio.toFixed(2),
    Math.max(...[...step, ...encode].map(({ others }) => others)).toFixed(2),
  ];
  console.log(`| \`${preset}\` | ${cells.join(' | ')} |`);
}
