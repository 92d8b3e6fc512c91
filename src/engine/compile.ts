// compile(fn) does for TF.js what tf.function does for TensorFlow and jit for JAX. The first call with new shapes
// traces the function into a graph and builds a session; later calls run that session.
import { EngineError } from '../errors.js';
import { runEagerly } from './eager.js';
import { engineInUse } from './engines.js';
import type { EngineName } from './engines.js';
import { printGraph } from './graph.js';
import { Specialization } from './specialization.js';
import { signatureOf } from './structure.js';
import type { Structure } from './structure.js';
import { nativeTarget } from './target.js';
import { currentTrace } from './trace.js';

export interface CompileOptions {
  /** Shown in errors, printed graphs and profiles. Default: the function's own name. */
  name?: string;
  /**
   * Embeds variables and captured tensors as constants. Inference is faster, but later updates have no effect. Default
   * false.
   */
  freeze?: boolean;
  /**
   * Maximum number of cached graphs, one for each combination of shapes, dtypes and plain arguments. The least recently
   * used graph is evicted first. Default 16.
   */
  maxGraphs?: number;
  /** Overrides the current engine. */
  engine?: EngineName;
  /** Threads per operator. Default: the engine's setting. */
  threads?: number;
  /**
   * Writes ONNX Runtime's operator profile to files whose names start with this prefix. The files are complete after
   * `dispose`.
   */
  profilePrefix?: string;
}

export interface Compiled<A extends readonly Structure[], R> {
  /** Runs the function. The caller owns the tensors in the result and must dispose them. */
  (...args: A): Promise<R>;
  /** How many times the function has been traced. */
  readonly traces: number;
  /** The cached graphs as text. */
  graphs(): string[];
  /** Releases the sessions. The function must not be called afterwards. */
  dispose(): Promise<void>;
}

/**
 * Compiles a function over TF.js tensors for ONNX Runtime.
 *
 * Variables that the function reads or assigns keep their state between calls. Variables that it creates during its
 * first call are created only once. Random numbers come from {@link randomUniform} and {@link randomNormal}, which take
 * a key argument. Everything else must be a pure function of the arguments: no `dataSync`, no branches on tensor
 * values. Calls are executed one after another.
 *
 * @throws {EngineError} E_ENGINE_OP for an op without a lowering, E_TRACE_READ for reading a tensor's values,
 *   E_TRACE_RANDOM for randomness without a key.
 */
export function compile<A extends readonly Structure[], R extends Structure>(
  fn: (...args: A) => R,
  options: CompileOptions = {},
): Compiled<A, R> {
  const name = options.name ?? (fn.name || 'function');
  const cache = new Map<string, Specialization>();
  let traces = 0;
  let disposed = false;

  const specialize = async (args: A): Promise<Specialization> => {
    const signature = signatureOf(args);
    let found = cache.get(signature);
    cache.delete(signature);
    if (!found) {
      traces++;
      found = await Specialization.build(name, fn as never, args, await nativeTarget(), options);
    }
    cache.set(signature, found);
    if (cache.size > (options.maxGraphs ?? 16)) {
      const [oldest, evicted] = cache.entries().next().value!;
      cache.delete(oldest);
      await evicted.release();
    }
    return found;
  };

  const call = (...args: A): Promise<R> => {
    if (currentTrace())
      throw new EngineError(
        'E_TRACE_NESTED',
        `${name}: expected a call outside of a trace, received one inside the trace of ${currentTrace()!.name}. Call the plain function there, and compile only the outermost one.`,
      );
    return inTurn(async () => {
      if (disposed)
        throw new EngineError(
          'E_ENGINE_DISPOSED',
          `${name}: expected a live function, received a call after dispose().`,
        );
      const engine = options.engine ?? engineInUse();
      if (engine !== 'onnxruntime') return runEagerly(engine, () => fn(...args));
      return (await (await specialize(args)).run(args)) as R;
    });
  };

  const dispose = (): Promise<void> =>
    inTurn(async () => {
      disposed = true;
      for (const specialization of cache.values()) {
        if (options.profilePrefix !== undefined) specialization.endProfiling();
        await specialization.release();
      }
      cache.clear();
    });

  const compiled = Object.assign(call, {
    graphs: () => [...cache.values()].map(({ graph }) => printGraph(graph)),
    dispose,
  });
  return Object.defineProperty(compiled, 'traces', { get: () => traces }) as Compiled<A, R>;
}

let last: Promise<unknown> = Promise.resolve();

/** Runs the calls of all compiled functions in the order in which they were made, because they may share variables. */
function inTurn<T>(task: () => Promise<T>): Promise<T> {
  const result = last.then(task);
  last = result.catch(() => undefined);
  return result;
}
