// Counts the arithmetic of a function without running it.
import { PORTABLE } from './lowering.js';
import type { Node } from './graph.js';
import { traceCall } from './specialization.js';
import type { Structure } from './structure.js';
import { sizeOf } from '../shape.js';

/**
 * Returns the floating-point operations of the convolutions and matrix products in one call of `fn`: two for each multiplication and
 * addition. All else takes little time beside them.
 *
 * @param args arguments of the shapes to count for; their values do not matter.
 * @throws {EngineError} the errors of tracing.
 */
export async function flopsOf<A extends readonly Structure[]>(fn: (...args: A) => Structure, args: A): Promise<number> {
  const { graph } = await traceCall('count', fn as never, args, PORTABLE, false);
  return graph.nodes.reduce((sum, node) => sum + flopsOfNode(node), 0);
}

function flopsOfNode({ op, inputs, outputs, attributes }: Node): number {
  const [first = [], second = []] = inputs.map((value) => value?.shape ?? []);
  const results = sizeOf(outputs[0]!.shape);
  switch (op) {
    case 'MatMul':
      return 2 * results * first.at(-1)!;
    case 'Gemm':
      return 2 * results * first.at(attributes['transA'] === 1 ? 0 : 1)!;
    case 'Conv':
      // Each output is a sum over the kernel [out, in / groups, ...]: over everything but its first axis.
      return 2 * results * sizeOf(second.slice(1));
    case 'ConvTranspose':
      // Each input is spread over the kernel [in, out / groups, ...].
      return 2 * sizeOf(first) * sizeOf(second.slice(1));
    default:
      return 0;
  }
}
