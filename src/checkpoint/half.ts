// Half precision (IEEE 754 binary16) for stored weights. In memory they are float32, which holds every half.
import type { NamedTensor, NamedTensors } from './tensors.js';

const scratch = new DataView(new ArrayBuffer(4));

/** The half that is nearest to a float32, ties to even. Beyond 65,504 it is infinite. @returns its bits. */
export function halfBits(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // not a number
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // rounds to 65,536 or more
  // Subnormal halves are multiples of 2^-24; scaling by a power of two is exact.
  if (magnitude < 0x38800000) return sign | roundToEven(Math.abs(value) * 2 ** 24);
  return sign | roundToEven((magnitude - 0x38000000) / 2 ** 13);
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** Bits of a half to those of the float32 of the same value. */
export function floatBits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21; // brings the leading one of a subnormal to bit 10
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}

/** The value of a half. */
function valueOf(half: number): number {
  scratch.setInt32(0, floatBits(half));
  return scratch.getFloat32(0);
}

/** The halves of a float32 tensor, as they are stored. */
export const toHalves = (data: Float32Array): Uint16Array => Uint16Array.from(data, halfBits);

/**
 * Rounds float32 tensors to half precision, which takes half the space on disk: a model whose float32 weights are all halves
 * is stored as such. Other tensors are kept.
 */
export function roundToHalf(tensors: NamedTensors): NamedTensors {
  const rounded = (tensor: NamedTensor): NamedTensor =>
    tensor.dtype === 'float32' ? { ...tensor, data: tensor.data.map((value) => valueOf(halfBits(value))) } : tensor;
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, rounded(tensor)]));
}

/** Whether every float32 of the tensors is a half, so that storing halves loses nothing. */
export function areHalves(tensors: NamedTensors): boolean {
  return Object.values(tensors).every(
    (tensor) => tensor.dtype !== 'float32' || tensor.data.every((value) => Object.is(valueOf(halfBits(value)), value)),
  );
}
