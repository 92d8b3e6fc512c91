// What third parties register is checked at once.
import { expect, it } from 'vitest';
import { registerCodec, registerMedium, registerPrior, registerQuantizer } from '../src/index.js';
import { codecFamily, priorFamily } from '../src/registry.js';
import { mediumNamed } from '../src/media/registry.js';
import { quantizerFamily } from '../tokenizers/quantizers/index.js';
import { series } from './support/waves.js';

const { name: _, ...nameless } = series;
const withFiles = (changes: object): object => ({ ...series, files: { ...series.files, ...changes } });

const WRONG: [register: (value: never) => void, value: unknown, message: string][] = [
  [registerMedium, 5, 'medium: expected an object, received 5. Correct the medium.'],
  [registerMedium, null, 'medium: expected an object, received null. Correct the medium.'],
  [registerMedium, {}, 'medium: expected a non-empty string name, received undefined. Correct the medium.'],
  [registerMedium, nameless, 'medium: expected a non-empty string name, received undefined.'],
  [registerMedium, { ...series, noun: 'series' }, 'medium "series": expected a non-empty string noun.one, received un'],
  [registerMedium, { ...series, axes: 1 }, 'medium "series": expected an array axes, received 1.'],
  [registerMedium, { ...series, itemShape: [4] }, 'medium "series": expected a function itemShape, received an array.'],
  [registerMedium, { ...series, files: null }, 'medium "series": expected a non-empty string files.formats, received'],
  [registerMedium, withFiles({ decode: {} }), 'medium "series": expected a function files.decode, received an object.'],
  [
    registerMedium,
    withFiles({ extensions: ['a'] }),
    'medium "series": expected a Set files.extensions, received an ar',
  ],
  [registerMedium, withFiles({ extension: '../x' }), 'medium "series": expected letters and digits in files.extension'],
  [registerCodec, 5, 'codec: expected an object, received 5.'],
  [registerCodec, { name: '' }, 'codec: expected a non-empty string name, received "".'],
  [
    registerCodec,
    { name: 'foo', medium: 'image' },
    'codec "foo": expected a function parseConfig, received undefined.',
  ],
  [registerPrior, { name: 'foo' }, 'prior "foo": expected a function parseConfig, received undefined.'],
  [registerQuantizer, { name: 'foo' }, 'quantizer "foo": expected a function parseConfig, received undefined.'],
];

it.each(WRONG.map(([register, value, message]) => [message, register, value] as const))(
  'a wrong value is refused: %s',
  (message, register, value) => {
    expect(() => register(value as never)).toThrow(`E_REGISTERED_SHAPE register ${message}`);
  },
);

it('says how to register a model or medium that is unknown', () => {
  for (const find of [codecFamily, priorFamily, quantizerFamily, mediumNamed])
    expect(() => find('foo')).toThrow(
      /"foo": expected one of .*\. Register others before use; commands load .* --plugin\.$/,
    );
});
