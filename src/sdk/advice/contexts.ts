// How hard codes are to predict: the cross-entropy of a model of counts, measured on held-out samples.
import type { TokenMapSpec, TokenSample } from '../../interfaces/index.js';

/** A sample as needed here: its codes, and its class if there is one. */
export type CodeSample = Pick<TokenSample, 'tokens'> & { label?: number | undefined };

/** What the next code is predicted from, least first. Each is mixed with those before it. */
const CONTEXTS = ['nothing', 'place', 'above', 'left', 'both', 'bothOfClass'] as const;

/** How much a context counts against those before it: as much as this many observations. */
const TRUST = 3;

/** Counts of codes in their contexts. */
export class ContextModel {
  private readonly counts = CONTEXTS.map(() => new Map<number, Map<number, number>>());
  private readonly totals = CONTEXTS.map(() => new Map<number, number>());
  private readonly width: number;
  private readonly isFlat: boolean;

  /** @param index which map of the samples. */
  constructor(
    private readonly map: TokenMapSpec,
    private readonly index = 0,
  ) {
    this.width = map.grid.at(-1)! * map.levels;
    this.isFlat = map.grid.length > 1;
  }

  /** Counts the codes of samples. */
  learn(samples: Iterable<CodeSample>): void {
    for (const sample of samples)
      this.walk(sample, (code, contexts) =>
        contexts.forEach((context, i) => {
          const own = this.counts[i]!.get(context) ?? new Map<number, number>();
          if (own.size === 0) this.counts[i]!.set(context, own);
          own.set(code, (own.get(code) ?? 0) + 1);
          this.totals[i]!.set(context, (this.totals[i]!.get(context) ?? 0) + 1);
        }),
      );
  }

  /** Cross-entropy of the codes of other samples, in nats per code. */
  nats(samples: Iterable<CodeSample>): number {
    let [nats, codes] = [0, 0];
    for (const sample of samples)
      this.walk(sample, (code, contexts) => {
        let chance = 1 / this.map.vocabSize;
        contexts.forEach((context, i) => {
          const total = this.totals[i]!.get(context) ?? 0;
          const own = this.counts[i]!.get(context);
          // The more codes follow a context, the less it says of new ones (Witten, Bell, 1991).
          const trust = TRUST + (own?.size ?? 0);
          chance = ((own?.get(code) ?? 0) + trust * chance) / (total + trust);
        });
        nats -= Math.log(chance);
        codes++;
      });
    return codes === 0 ? Number.NaN : nats / codes;
  }

  /** Visits the codes of a sample with the numbers of their contexts. */
  private walk({ tokens, label }: CodeSample, visit: (code: number, contexts: number[]) => void): void {
    const { ids } = tokens.maps[this.index]!;
    const K = this.map.vocabSize + 1;
    for (let i = 0; i < ids.length; i++) {
      const left = i > 0 && (!this.isFlat || i % this.width > 0) ? ids[i - 1]! + 1 : 0;
      const above = this.isFlat && i >= this.width ? ids[i - this.width]! + 1 : 0;
      const both = left * K + above;
      visit(ids[i]!, [0, i, above, left, both, label === undefined ? both : both + (label + 1) * K * K]);
    }
  }
}
