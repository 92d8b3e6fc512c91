// Measures priors over a whole split.
import { compile, hostValues, tf } from '../engine/index.js';
import { flatCodes } from '../interfaces/index.js';
import type { Params } from '../model/params.js';
import type { Stages } from '../prior/stages.js';
import type { ShardReader } from '../shards/reader.js';
import type { ConditionSource } from './conditions.js';
import { EVALUATION_BATCH, extentOf, splitsOf } from './evaluate.js';
import type { MeasuringOptions, Splits } from './evaluate.js';

export interface PriorEvaluation {
  samples: number;
  /** Cross-entropy, mean over the codes of all maps. */
  natsPerCode: number;
  bitsPerCode: number;
  /** Fraction of codes that were the model's first choice. */
  accuracy: number;
  /** The same of each stage, as `STAGE.natsPerCode` and `STAGE.accuracy`, if there are several. */
  [ofStage: `${string}.natsPerCode` | `${string}.accuracy`]: number;
}

/** A prior that is measured. */
interface Measured {
  stages: Stages;
  params: Params;
  condition: ConditionSource;
}

/** Sums over the codes of one stage. */
interface Sums {
  nats: number;
  hits: number;
  codes: number;
}

/** Scores every token sample of a split under its own condition. @throws {InputError} E_DATA_EMPTY. */
export async function evaluatePrior(
  { stages, params, condition }: Measured,
  tokens: ShardReader,
  split: Splits,
  { limit, signal, onProgress }: MeasuringOptions = {},
): Promise<PriorEvaluation> {
  const { limited, total } = extentOf(tokens, tokens.directory, split, limit);
  const rows = Math.min(EVALUATION_BATCH, total);
  const score = compile(
    (codes: tf.Tensor2D, conditions: tf.Tensor2D) => stages.score(params, { codes, condition: conditions }),
    { name: 'prior_score' },
  );
  const sums = stages.parts.map((): Sums => ({ nats: 0, hits: 0, codes: 0 }));
  let done = 0;
  try {
    for (const one of splitsOf(split)) {
      for (let first = 0; first < limited(one); first += rows) {
        signal?.throwIfAborted();
        const count = Math.min(rows, limited(one) - first);
        // The last batch is filled up with repeats, which are not counted.
        const samples = tokens.readBatch(
          one,
          Array.from({ length: rows }, (_, i) => Math.min(first + i, limited(one) - 1)),
        );
        const conditions = samples.map((sample) => condition.of(sample));
        const inputs = [
          tf.tensor2d(flatCodes(samples), [rows, stages.codeCount], 'int32'),
          tf.tensor2d(
            conditions.flatMap((ids) => [...ids]),
            [rows, conditions[0]!.length],
            'int32',
          ),
        ] as const;
        const scores = await score(...inputs);
        for (const [i, { nats, hits }] of scores.entries()) {
          const codes = (nats.size / rows) * count;
          const own = sums[i]!;
          own.nats += sumOf(nats, codes);
          own.hits += sumOf(hits, codes);
          own.codes += codes;
        }
        tf.dispose([...inputs, ...scores.flatMap(({ nats, hits }) => [nats, hits])]);
        onProgress?.((done += count), total);
      }
    }
  } finally {
    await score.dispose();
  }
  const [nats, hits, codes] = (['nats', 'hits', 'codes'] as const).map((name) =>
    sums.reduce((n, one) => n + one[name], 0),
  ) as [number, number, number];
  const natsPerCode = nats / codes;
  return {
    samples: total,
    natsPerCode,
    bitsPerCode: natsPerCode / Math.LN2,
    accuracy: hits / codes,
    ...(sums.length > 1 && figuresOfStages(stages, sums)),
  };
}

function figuresOfStages({ parts }: Stages, sums: readonly Sums[]): Record<string, number> {
  return Object.fromEntries(
    sums.flatMap(({ nats, hits, codes }, i) => [
      [`${parts[i]!.stage.name}.natsPerCode`, nats / codes],
      [`${parts[i]!.stage.name}.accuracy`, hits / codes],
    ]),
  );
}

function sumOf(values: tf.Tensor, count: number): number {
  let total = 0;
  for (const value of hostValues(values).subarray(0, count)) total += value;
  return total;
}
