// A trained prior at work: scoring in batches, and its stages ready to sample.
import { compile, hostValues, tf } from '../engine/index.js';
import type { TokenMapSpec } from '../interfaces/index.js';
import { disposeParams } from '../model/params.js';
import type { Params } from '../model/params.js';
import type { Condition, Decoder, OpenStage, Predictor, PriorFamily, Stage } from '../model/prior.js';
import { Stages } from './stages.js';

/** A stage that is ready to sample. */
export type SamplingStage = { map: TokenMapSpec } & (
  | { sampler: 'steps'; stage: Stage; open: OpenStage<Decoder> }
  | { sampler: 'refine'; stage: Stage; rounds: number; open: OpenStage<Predictor> }
);

/** A prior with its weights. */
export class PriorModel {
  readonly maps: readonly TokenMapSpec[];
  readonly condition: Condition;
  /** In the order in which they are sampled. */
  readonly stages: readonly SamplingStage[];
  private readonly codeCount: number;
  private readonly scorer;

  /** @param params owned by the model from here on. They are final: its graphs embed them. */
  constructor(
    family: PriorFamily,
    config: unknown,
    private readonly params: Params,
  ) {
    const stages = Stages.of(family, config);
    this.maps = stages.maps;
    this.condition = family.condition(config);
    this.codeCount = stages.codeCount;
    this.stages = stages.parts.map((part): SamplingStage => {
      const { stage, map } = part;
      const own = stages.paramsOf(part, params);
      return stage.sampler === 'steps'
        ? { sampler: 'steps', stage, map, open: stage.open(own) }
        : { sampler: 'refine', stage, map, rounds: stage.rounds, open: stage.open(own) };
    });
    this.scorer = compile((codes: tf.Tensor2D, condition: tf.Tensor2D) => stages.score(params, { codes, condition }), {
      name: `${family.name}_score`,
      freeze: true,
    });
  }

  /**
   * Scores samples.
   *
   * @param codes      int32 [rows, N]: all maps, one after the other, each row-major.
   * @param conditions int32 [rows, P].
   * @returns for each row the mean nats per code, and the fraction of its codes that were the model's first choice.
   */
  async score(
    codes: Int32Array,
    conditions: Int32Array,
    rows: number,
  ): Promise<{ nats: Float32Array; accuracy: Float32Array }> {
    const inputs = [
      tf.tensor2d(codes, [rows, this.codeCount], 'int32'),
      tf.tensor2d(conditions, [rows, this.condition.length], 'int32'),
    ] as const;
    const scores = await this.scorer(...inputs);
    const meansOf = (values: readonly tf.Tensor1D[]): Float32Array => {
      const sums = new Float64Array(rows);
      for (const value of values) {
        const width = value.size / rows;
        hostValues(value).forEach((one, i) => (sums[Math.floor(i / width)]! += one));
      }
      return Float32Array.from(sums, (sum) => sum / this.codeCount);
    };
    const result = {
      nats: meansOf(scores.map(({ nats }) => nats)),
      accuracy: meansOf(scores.map(({ hits }) => hits)),
    };
    tf.dispose([...inputs, ...scores.flatMap(({ nats, hits }) => [nats, hits])]);
    return result;
  }

  dispose(): void {
    void this.scorer.dispose();
    for (const { open } of this.stages) open.dispose();
    disposeParams(this.params);
  }
}
