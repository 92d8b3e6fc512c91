// Image resizing. ONNX's Resize rounds and clips differently from TF.js; a gather per axis (nearest) and a product with
// a small weight matrix per axis (linear) reproduce TF.js's pixels exactly.
import type { Value } from '../graph.js';
import type { Lower, Lowering } from '../lowering.js';
import { linearWeights, nearestIndices } from '../resampling.js';
import type { Resampling } from '../resampling.js';

function resizeNearest(g: Lower, images: Value, size: [number, number], how: Resampling): Value {
  return [1, 2].reduce((x, axis) => {
    const [from, to] = [x.shape[axis]!, size[axis - 1]!];
    return g.gather(x, g.constant('int32', [to], nearestIndices(from, to, how)), axis);
  }, images);
}

/** [B, H, W, C] -> [B, H', W', C]: multiplies matrices [H, W * C], then [W, C]. */
function resizeLinear(g: Lower, images: Value, [height, width]: [number, number], how: Resampling): Value {
  const [batch, fromHeight, fromWidth, channels] = images.shape as [number, number, number, number];
  const weights = (from: number, to: number): Value => g.constant('float32', [to, from], linearWeights(from, to, how));
  const rows = g.matMul(
    weights(fromHeight, height),
    g.reshape(g.cast(images, 'float32'), [batch, fromHeight, fromWidth * channels]),
  );
  return g.matMul(weights(fromWidth, width), g.reshape(rows, [batch, height, fromWidth, channels]));
}

export const resize: Record<string, Lowering> = {
  ResizeNearestNeighbor: (g, { images }, attributes) =>
    resizeNearest(g, images, attributes.size as [number, number], attributes as unknown as Resampling),
  ResizeBilinear: (g, { images }, attributes) =>
    resizeLinear(g, images, attributes.size as [number, number], attributes as unknown as Resampling),
};
