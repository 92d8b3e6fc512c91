// Contestants take turns in one run, so that what drifts (clock, temperature, neighbours) meets all alike.
import { untilCalm, watchOthers } from './calm.mjs';

/** The middle value; the mean of the two middle ones of an even number. */
export function median(values) {
  if (values.length === 0) return NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

const smallest = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
const largest = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);

/**
 * Runs every contestant `rounds` times, `blocks` blocks a turn, or about `seconds`; who begins changes from round to round.
 *
 * @param {import('./peer.mjs').Contestant[]} contestants the first is what the others are compared with.
 * @param {{rounds?: number, blocks?: number, seconds?: number, calm?: number, patienceSeconds?: number, retries?: number, log?: (line: string) => void}} options
 *   `calm`: cores others may use in a turn that counts. A turn that met more is repeated up to `retries` times, and the calmest kept.
 * @returns one result a contestant: milliseconds a block (median, best), rate in units a second, ratio of its time to the
 *   first's (median over rounds, with the smallest and largest), and the cores others used at worst in a kept turn.
 */
export async function alternate(
  contestants,
  { rounds = 5, blocks, seconds = 1, calm = 0.15, patienceSeconds = 20, retries = 4, log = () => {} } = {},
) {
  const turns = contestants.map(() => []);
  const counts = [];
  for (const contestant of contestants)
    counts.push(blocks ?? Math.max(2, Math.ceil((1000 * seconds) / median(await contestant.run(3)))));
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < contestants.length; i++) {
      const who = (round + i) % contestants.length;
      const turn = await calmTurn(contestants[who], counts[who], { calm, patienceSeconds, retries });
      turns[who].push(turn);
      log(
        `round ${round + 1}/${rounds}  ${contestants[who].name}: ${median(turn.ms).toFixed(1)} ms, others used ${turn.others.toFixed(2)} cores`,
      );
    }
  }
  return contestants.map((contestant, i) => summarize(contestant, turns[i], turns[0]));
}

async function calmTurn(contestant, blocks, { calm, patienceSeconds, retries }) {
  let best;
  for (let attempt = 0; attempt <= retries; attempt++) {
    await untilCalm(calm, patienceSeconds);
    const others = watchOthers();
    const turn = { ms: await contestant.run(blocks), others: others() };
    if (!best || turn.others < best.others) best = turn;
    if (!(best.others > calm)) break;
  }
  return best;
}

function summarize({ name, work, unit, details }, turns, reference) {
  const all = turns.flatMap(({ ms }) => ms);
  const ratios = turns.map(({ ms }, round) => median(ms) / median(reference[round].ms));
  const middle = median(all);
  return {
    name,
    unit,
    details,
    medianMs: middle,
    bestMs: smallest(all),
    rate: (work / middle) * 1000,
    ratio: median(ratios),
    ratioRange: [smallest(ratios), largest(ratios)],
    others: largest(turns.map(({ others }) => others)),
  };
}
