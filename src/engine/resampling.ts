// Source positions of resized pixels, one axis at a time, as TF.js defines them. Shared by lowerings and gradients.

export interface Resampling {
  alignCorners: boolean;
  halfPixelCenters: boolean;
}

const scaleOf = (from: number, to: number, { alignCorners }: Resampling): number =>
  alignCorners && to > 1 ? (from - 1) / (to - 1) : from / to;

/** Returns the source index of each of `to` pixels. */
export function nearestIndices(from: number, to: number, how: Resampling): Int32Array {
  const scale = scaleOf(from, to, how);
  return Int32Array.from({ length: to }, (_, i) => {
    const at = scale * (how.halfPixelCenters ? i + 0.5 : i);
    return Math.max(0, Math.min(from - 1, how.alignCorners ? Math.round(at) : Math.floor(at)));
  });
}

/**
 * Returns the weights of `from` source pixels in each of `to` pixels: float32 [to, from], row-major, with at most two
 * nonzero weights per row.
 */
export function linearWeights(from: number, to: number, how: Resampling): Float32Array {
  const scale = scaleOf(from, to, how);
  const weights = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    const at = how.halfPixelCenters ? scale * (i + 0.5) - 0.5 : scale * i;
    const low = Math.max(0, Math.floor(at));
    const high = Math.min(from - 1, Math.ceil(at));
    weights[i * from + low]! += 1 - (at - low);
    weights[i * from + high]! += at - low;
  }
  return weights;
}
