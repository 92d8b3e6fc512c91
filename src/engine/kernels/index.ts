import type { Lowering } from '../lowering.js';
import { arrays } from './arrays.js';
import { composites } from './composites.js';
import { conv } from './conv.js';
import { elementwise } from './elementwise.js';
import { pooling } from './pooling.js';
import { reduce } from './reduce.js';
import { resize } from './resize.js';

/** Every TF.js kernel that the engine can lower, by kernel name. */
export const LOWERINGS: Readonly<Record<string, Lowering>> = {
  ...elementwise,
  ...arrays,
  ...reduce,
  ...conv,
  ...pooling,
  ...resize,
  ...composites,
};
