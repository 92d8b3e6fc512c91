import { ShapeError } from '../errors.js';
import type { AnyCore } from './medium.js';

/** Shape [...axes, channels] of one sample in a batch. @throws {ShapeError} E_ITEM_SHAPE unless the medium gives a valid one. */
export function itemShapeOf(medium: AnyCore, input: unknown): number[] {
  const shape: unknown = medium.itemShape(input);
  const rank = medium.axes.length + 1;
  if (Array.isArray(shape) && shape.length === rank && shape.every((length) => Number.isInteger(length) && length > 0))
    return shape as number[];
  throw new ShapeError(
    'E_ITEM_SHAPE',
    `medium "${medium.name}": expected itemShape to give ${rank} positive integers, received ${Array.isArray(shape) ? `[${shape.join(', ')}]` : typeof shape}. Correct the medium.`,
  );
}
