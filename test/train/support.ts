// Runs of the training loops in a folder, stopped and resumed, and what they leave behind.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointStore } from '../../src/checkpoint/store.js';
import type { LoopOptions } from '../../src/train/loop.js';

export type Train = (options: LoopOptions) => Promise<unknown>;

/** sha256 of all that a resumed run must have in common with an undisturbed one. */
export function resultOf(out: string): Record<string, string> {
  const names = ['metrics.jsonl', 'model.json', 'model.safetensors'];
  return Object.fromEntries(
    names.map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(join(out, name)))
        .digest('hex'),
    ]),
  );
}

/** Options with a signal that fires in the middle of `step`. */
export function stoppingAt(step: number, options: LoopOptions): LoopOptions {
  const controller = new AbortController();
  return { ...options, signal: controller.signal, onStep: (now) => now === step && controller.abort() };
}

/** Trains with a stop at each of `steps`. @returns what each stop was reported as. */
export async function trainWithStops(train: Train, out: string, steps: readonly number[]): Promise<unknown[]> {
  const reports: unknown[] = [];
  for (const step of steps)
    reports.push(await train(stoppingAt(step, { out, resume: reports.length > 0 })).catch((error: unknown) => error));
  await train({ out, resume: true });
  return reports;
}

/** The step of the newest checkpoint that verifies. */
export function newestCheckpoint(out: string): number | undefined {
  return existsSync(join(out, 'checkpoints'))
    ? new CheckpointStore(join(out, 'checkpoints')).latest()?.step
    : undefined;
}
