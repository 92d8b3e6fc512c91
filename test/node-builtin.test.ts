// What the foundation does outside of Node.js, where no built-in module can be had.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

describe('without Node.js', () => {
  const { constrainedMemory, getBuiltinModule } = process;

  // The test runner needs the rest of `process`.
  beforeAll(() => {
    vi.resetModules();
    Object.assign(process, { constrainedMemory: undefined, getBuiltinModule: undefined });
  });

  afterAll(() => {
    Object.assign(process, { constrainedMemory, getBuiltinModule });
    vi.resetModules();
  });

  it('no built-in module is found', async () => {
    const { nodeBuiltin } = await import('../src/node-builtin.js');
    expect(nodeBuiltin).toBeUndefined();
  });

  it('hashes are the same', async () => {
    const { sha256 } = await import('../src/hash.js');
    expect(sha256('größer')).toBe(createHash('sha256').update('größer').digest('hex'));
  });

  it('memory is taken to be unlimited', async () => {
    const { expectMemory, memoryBytes } = await import('../src/memory.js');
    expect(memoryBytes()).toBe(Infinity);
    expect(() => expectMemory('a model', 2 ** 60, '')).not.toThrow();
  });

  it('work with a limit of time runs to its end', async () => {
    const { withinTime } = await import('../src/text/time-limit.js');
    expect(withinTime(1, () => 'done')).toBe('done');
    expect(() =>
      withinTime(1, () => {
        throw new RangeError('its own error');
      }),
    ).toThrow(RangeError);
  });
});
