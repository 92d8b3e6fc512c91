// What advice is: settings, the reasons for them, and what to expect of a training with them.
import { z } from 'zod';
import { durationText, formatNumber } from '../../report/format.js';

/** Settings that were picked for data, and what to expect of a training with them. */
export interface Advice<S> {
  /** In the form of a preset; written to a file, they are a config. */
  settings: S;
  /** What was found in the data and what follows from it, in sentences. */
  reasons: string[];
  /** Problems of the data, each with its remedy. */
  warnings: string[];
  /** Seconds that the whole training takes on this machine, about. Measured by a few steps. */
  seconds: number;
  /** The held-out figure that the finished model reaches, about. */
  error: ExpectedError;
}

export interface ExpectedError {
  /** `nmse` of a codec: mean squared error over the variance of the data. `natsPerCode` of a prior. */
  name: 'nmse' | 'natsPerCode';
  value: number;
}

/** What the card of a model says of the advice that it was trained with. */
export interface AdviceRecord {
  settings: Record<string, unknown>;
  reasons: string[];
  seconds: number;
  error: ExpectedError;
}

const AdviceRecordSchema = z.object({
  settings: z.record(z.string(), z.unknown()),
  reasons: z.array(z.string()),
  seconds: z.number(),
  error: z.object({ name: z.enum(['nmse', 'natsPerCode']), value: z.number() }),
});

/** The part of the advice that a run and its model keep. */
export const recordOf = ({ settings, reasons, seconds, error }: Advice<object>): AdviceRecord => ({
  settings: settings as Record<string, unknown>,
  reasons,
  seconds: Math.round(seconds),
  error: { ...error, value: Number(error.value.toPrecision(3)) },
});

/** The advice that a run on disk was started with, if it was. */
export function recordIn(identity: Record<string, unknown> | undefined): AdviceRecord | undefined {
  const parsed = AdviceRecordSchema.safeParse(identity?.['advice']);
  return parsed.success ? parsed.data : undefined;
}

/** The advice for people: the settings with the reasons, the expectation, and warnings. */
export function adviceLines({ reasons, warnings, seconds, error }: Advice<object>): string[] {
  const figure =
    error.name === 'nmse'
      ? `NMSE of about ${short(error.value)}`
      : `cross-entropy of about ${short(error.value)} nats per code`;
  return [
    `settings: ${reasons.join('; ')}`,
    `expect: ${durationText(seconds)} on this machine, and a held-out ${figure}. --preset or --config uses other settings, --minutes another time`,
    ...warnings.map((warning) => `warning: ${warning}`),
  ];
}

const short = (value: number): string => formatNumber(Number(value.toPrecision(2)));
