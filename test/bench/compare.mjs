// Side by side with the Python peers:
//   node test/bench/compare.mjs SUITE [--preset NAME] [--rounds N] [--blocks N] [--only a,b] [--threads N] [--calm CORES] [--json]
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { alternate } from './alternate.mjs';
import { startSuite, SUITES } from './suites.mjs';

function machine() {
  const root = new URL('../../', import.meta.url);
  const version = (name) =>
    JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, root), 'utf8')).version;
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${release()}`,
    node: process.version,
    onnxruntimeNode: version('onnxruntime-node'),
  };
}

const columns = (results) => [
  ['contestant', 'median ms', 'best ms', 'rate', 'time / first', 'range', 'others, cores'],
  ...results.map(({ name, unit, medianMs, bestMs, rate, ratio, ratioRange, others }) => [
    name,
    medianMs.toFixed(1),
    bestMs.toFixed(1),
    `${rate < 100 ? rate.toFixed(1) : rate.toFixed(0)} ${unit}/s`,
    `${ratio.toFixed(2)}x`,
    ratioRange.map((r) => r.toFixed(2)).join('-'),
    others.toFixed(2),
  ]),
];

/** A Markdown table, aligned to be read as it is. */
function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  return [
    line(rows[0]),
    `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`,
    ...rows.slice(1).map(line),
  ].join('\n');
}

function options() {
  const text = { type: 'string' };
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      preset: { ...text, default: 'sonnet' },
      rounds: text,
      blocks: text,
      only: text,
      threads: { ...text, default: '2' },
      calm: text,
      json: { type: 'boolean' },
    },
  });
  const [suite] = positionals;
  if (!SUITES[suite] || positionals.length > 1)
    throw new Error(`compare: expected one of ${Object.keys(SUITES).join(', ')}, received "${positionals.join(' ')}".`);
  const number = (name) => (values[name] === undefined ? undefined : Number(values[name]));
  const { json, preset } = values;
  const title = SUITES[suite].ofPreset ? `${SUITES[suite].title} (${preset})` : SUITES[suite].title;
  const contestants = { only: values.only?.split(','), threads: number('threads'), preset };
  return {
    suite,
    title,
    json,
    contestants,
    turns: { rounds: number('rounds'), blocks: number('blocks') ?? SUITES[suite].blocks, calm: number('calm') },
  };
}

async function main() {
  const { suite, title, json, contestants: wanted, turns } = options();
  const log = (line) => process.stderr.write(`${line}\n`);
  const contestants = await startSuite(suite, { ...wanted, log });
  try {
    const results = await alternate(contestants, { ...turns, log });
    const report = { suite, title, date: new Date().toISOString(), machine: machine(), results };
    if (json) return console.log(JSON.stringify(report));
    const { cpu, cores, memoryGiB, system, node, onnxruntimeNode } = report.machine;
    const torch = results.find(({ details }) => details?.torch)?.details;
    console.log(
      `${report.title}\n${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}; Node ${node}, onnxruntime-node ${onnxruntimeNode}${torch ? `; torch ${torch.torch} (${torch.capability}, ${torch.threads} threads), Python ${torch.python}` : ''}\n`,
    );
    console.log(table(columns(results)));
  } finally {
    await Promise.all(contestants.map((contestant) => contestant.close()));
  }
}

process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));
await main().catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
});
