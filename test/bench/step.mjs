// Shows a codec preset's training step: `node test/bench/step.mjs graph PRESET` prints its ONNX graph, operation by operation with
// shapes; `node test/bench/step.mjs profile PRESET` runs it and prints the time of each kind of operation. Run npm run build first.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile, tensorsOf, tf } from '../../dist/src/engine/node.js';
import { codecOf, codecStep } from './ours/codec.mjs';

const STEPS = 20;

const [what, preset = 'gray-28'] = process.argv.slice(2);
if (what !== 'graph' && what !== 'profile') {
  console.error('usage: node test/bench/step.mjs graph|profile [PRESET]');
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'tesserae-step-'));
const { name, step, args } = codecStep(codecOf(preset));
const compiled = compile(step, { name, profilePrefix: what === 'profile' ? join(folder, 'profile') : undefined });
for (let i = 0; i < (what === 'profile' ? STEPS : 1); i++) tf.dispose(tensorsOf(await compiled(...args)));
if (what === 'graph') console.log(compiled.graphs().join('\n'));
await compiled.dispose();
if (what === 'profile') printProfile(readdirSync(folder).map((file) => join(folder, file)));
rmSync(folder, { recursive: true });

/** Sums the operations of ONNX Runtime's traces by kind. */
function printProfile(files) {
  const kinds = new Map();
  for (const file of files) {
    for (const { cat, dur, args: details } of JSON.parse(readFileSync(file, 'utf8'))) {
      if (cat !== 'Node' || !details?.op_name) continue;
      const kind = kinds.get(details.op_name) ?? { time: 0, count: 0 };
      kinds.set(details.op_name, { time: kind.time + dur, count: kind.count + 1 });
    }
  }
  const sorted = [...kinds].sort(([, a], [, b]) => b.time - a.time);
  const total = sorted.reduce((sum, [, { time }]) => sum + time, 0);
  console.log(
    `${'operation'.padEnd(28)}${'ms per step'.padStart(14)}${'share'.padStart(9)}${'calls per step'.padStart(17)}`,
  );
  for (const [kind, { time, count }] of sorted)
    console.log(
      kind.padEnd(28) +
        (time / 1000 / STEPS).toFixed(3).padStart(14) +
        `${((100 * time) / total).toFixed(1)} %`.padStart(9) +
        (count / STEPS).toFixed(1).padStart(17),
    );
}
