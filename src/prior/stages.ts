// A prior as the sum of its stages: one set of weights, one loss, one score.
import { tf } from '../engine/index.js';
import type { RandomKey } from '../engine/index.js';
import { codeCount } from '../interfaces/index.js';
import type { TokenMapSpec } from '../interfaces/index.js';
import type { ExportedFunction } from '../model/exported.js';
import { prefixed, scoped } from '../model/params.js';
import type { Params, ParamSpecs } from '../model/params.js';
import type { PriorFamily, Stage, StageBatch } from '../model/prior.js';

/** A batch for a whole prior. Rows are samples. */
export interface PriorBatch {
  /** int32 [B, N]: codes of all maps, one map after the other, each row-major. */
  codes: tf.Tensor2D;
  /** int32 [B, P]. */
  condition: tf.Tensor2D;
}

/** One stage of a prior, with what is its own. */
interface Part {
  stage: Stage;
  map: TokenMapSpec;
  /** Prefix of its weights; none in a prior of one stage. */
  prefix: string | undefined;
}

/** Scores of the codes of one stage. */
export type StageScore = {
  /** Cross-entropy in nats, float32 [B * N], in the order of the stage. */
  nats: tf.Tensor1D;
  /** float32 [B * N]: 1 for codes that were the model's first choice, otherwise 0. */
  hits: tf.Tensor1D;
};

/** A prior of a config: its stages, put together. */
export class Stages {
  readonly maps: readonly TokenMapSpec[];
  readonly parts: readonly Part[];
  /** Codes of a sample in all maps. */
  readonly codeCount: number;

  /** @throws {TypeError} unless each map is predicted by one stage, given only maps of earlier stages. */
  static of<C>(family: PriorFamily<C>, config: C): Stages {
    return new Stages(family.name, family.maps(config), family.stages(config));
  }

  private constructor(name: string, maps: readonly TokenMapSpec[], stages: readonly Stage[]) {
    this.maps = maps;
    this.codeCount = maps.reduce((sum, map) => sum + codeCount(map), 0);
    const known: string[] = [];
    this.parts = stages.map((stage) => {
      const map = maps.find((one) => one.name === stage.predicts);
      if (!map || known.includes(map.name) || stage.given.some((given) => !known.includes(given)))
        throw new TypeError(
          `prior ${name}, stage ${stage.name}: expected it to predict a map of its own (${maps.map((one) => one.name).join(', ')}), given maps of earlier stages.`,
        );
      known.push(map.name);
      return { stage, map, prefix: stages.length > 1 ? stage.name : undefined };
    });
    if (known.length !== maps.length)
      throw new TypeError(`prior ${name}: expected a stage for each of ${maps.length} maps, found ${known.length}.`);
  }

  /** The weights of all stages. */
  get params(): ParamSpecs {
    return Object.assign(
      {},
      ...this.parts.map(({ stage, prefix }) => (prefix === undefined ? stage.params : prefixed(prefix, stage.params))),
    ) as ParamSpecs;
  }

  /** The weights of a stage among those of all. */
  paramsOf({ prefix }: Part, p: Params): Params {
    return prefix === undefined ? p : scoped(prefix, p);
  }

  /** The losses of all stages, summed, and the mean over all codes of their cross-entropy. */
  loss(p: Params, batch: PriorBatch, key: RandomKey): { loss: tf.Scalar; natsPerCode: tf.Scalar } {
    const losses = this.parts.map((part) => ({
      ...part.stage.loss(this.paramsOf(part, p), this.batchOf(part, batch), key),
      share: codeCount(part.map) / this.codeCount,
    }));
    const [only] = losses;
    if (only && losses.length === 1) return only;
    return {
      loss: tf.addN(losses.map(({ loss }) => loss)),
      natsPerCode: tf.addN(losses.map(({ natsPerCode, share }) => tf.mul(natsPerCode, share))),
    };
  }

  /** The scores of each stage. */
  score(p: Params, batch: PriorBatch): StageScore[] {
    return this.parts.map((part) => part.stage.score(this.paramsOf(part, p), this.batchOf(part, batch)));
  }

  /** The functions of all stages to be written as ONNX files. */
  exports(p: Params): Record<string, ExportedFunction> {
    return Object.fromEntries(
      this.parts.flatMap((part) =>
        Object.entries(part.stage.exports(this.paramsOf(part, p))).map(([name, fn]) => [
          part.prefix === undefined ? name : `${part.prefix}_${name}`,
          fn,
        ]),
      ),
    );
  }

  /** Where the codes of a map begin among those of all. */
  offsetOf(name: string): number {
    const index = this.maps.findIndex((map) => map.name === name);
    return this.maps.slice(0, index).reduce((sum, map) => sum + codeCount(map), 0);
  }

  private batchOf({ stage, map }: Part, { codes, condition }: PriorBatch): StageBatch {
    const own = this.codesOf(map.name, codes);
    const { places } = stage.order;
    return {
      codes: places ? tf.gather(own, tf.tensor1d(places, 'int32'), 1) : own,
      given: stage.given.map((name) => this.codesOf(name, codes)),
      condition,
    };
  }

  /** The codes of one map, int32 [B, N]. */
  private codesOf(name: string, codes: tf.Tensor2D): tf.Tensor2D {
    if (this.maps.length === 1) return codes;
    const map = this.maps.find((one) => one.name === name)!;
    return tf.slice2d(codes, [0, this.offsetOf(name)], [-1, codeCount(map)]);
  }
}
