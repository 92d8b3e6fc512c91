// The list of rejects: cheap however many there are, and durable before the part that binds it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ShardWriter } from '../../src/shards/writer.js';
import { FaultyFiles } from '../support/faulty-files.js';
import { temporaryDirectory } from '../support/tiny.js';
import { CARD, makeSample } from './samples.js';

const reject = (index: number) => ({
  split: 'train' as const,
  index,
  key: `train/${index}`,
  error: 'E_IMAGE_CORRUPT of the test',
});

test('twenty thousand rejects are listed in little time', async () => {
  const directory = join(temporaryDirectory(), 't');
  const writer = await ShardWriter.open(directory, CARD);
  const start = performance.now();
  for (let index = 0; index < 20_000; index++) await writer.reject(reject(index));
  await writer.append('train', makeSample('train', 20_000));
  expect((await writer.close()).rejects?.count).toBe(20_000);
  expect(performance.now() - start).toBeLessThan(2000);
  expect(readFileSync(join(directory, 'rejects.jsonl'), 'utf8').trim().split('\n')).toHaveLength(20_000);
});

test('the rejects that a part binds are in the file before the part is, and those after it once the writer gives up', async () => {
  const files = new FaultyFiles(['/d']);
  const listed = (): number =>
    (files.snapshot()['/d/rejects.jsonl'] ?? Buffer.from('')).toString().split('\n').length - 1;
  const writer = await ShardWriter.open('/d', CARD, { shardSamples: 1, files });
  for (let index = 0; index < 1000; index++) await writer.reject(reject(index));
  await writer.append('train', makeSample('train', 1000));
  expect(listed()).toBeLessThan(1000);
  await writer.reject(reject(1001));
  await writer.append('train', makeSample('train', 1002));
  expect(files.list('/d')).toContain('part-00000.msgpack');
  expect(listed()).toBe(1001);
  await writer.reject(reject(1003));
  await writer.abort();
  expect(listed()).toBe(1002);
  const resumed = await ShardWriter.open('/d', CARD, { shardSamples: 1, files, resume: true });
  expect([resumed.rejected, resumed.seen('train')]).toEqual([1000, 1001]);
});
