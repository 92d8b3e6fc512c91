import { expect, it } from 'vitest';
import * as errors from '../../src/errors.js';
import { TopologyError } from '../../src/engine/dynamic.js';
import { packError, unpackError } from '../../src/sdk/thread-errors.js';

const across = (error: unknown): Error => unpackError(structuredClone(packError(error)));

const classes = Object.values(errors).filter(
  (value): value is typeof errors.UsageError =>
    typeof value === 'function' && value.prototype instanceof errors.TesseraeError,
);

it('knows every class of errors.ts', () => expect(classes).toHaveLength(10));

it.each(classes.map((type) => [type.name, type] as const))(
  'gives a %s its class, code, detail and stack again',
  (_, type) => {
    const error = new type('E_CODE', 'here: expected this, received that.');
    const back = across(error);
    expect(back).toBeInstanceOf(type);
    const { name, code, detail, message, exitCode, stack } = error;
    expect(back).toMatchObject({ name, code, detail, message, exitCode, stack });
  },
);

it('gives a class of one module the nearest of errors.ts', () => {
  expect(across(new TopologyError('E_CODE', 'detail.'))).toMatchObject({
    constructor: errors.EngineError,
    code: 'E_CODE',
  });
});

it('gives anything else as an error with its message', () => {
  const error = new RangeError('out of range');
  expect(across(error)).toMatchObject({ message: 'out of range', stack: error.stack });
  expect(across(error)).not.toBeInstanceOf(errors.TesseraeError);
  expect(across('text').message).toBe('text');
});
