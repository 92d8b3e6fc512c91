// Learns byte-pair merges (Gage 1994; Sennrich et al., arXiv:1508.07909) over the symbols of counted words.
//
// All words are stored in one array of symbols, linked to their neighbors. Every pair keeps its count and all positions
// at which it has ever occurred. A merge visits only these positions, so the total cost is linear in the size of the
// text, whatever the word lengths.

/** A merge replaces the adjacent symbols `left` and `right` by one symbol. */
export interface Merge {
  left: number;
  right: number;
}

export interface MergeOptions {
  /** Size of the alphabet: ids 0 to alphabetSize-1. The i-th merge creates symbol alphabetSize + i. */
  alphabetSize: number;
  /** Maximum number of merges to learn. */
  mergeCount: number;
  /** Pairs that occur less often than this are not merged. */
  minFrequency: number;
}

/**
 * Learns merges, most frequent pair first.
 *
 * Ties go to the pair whose left symbol has the lowest id, then to the one whose right symbol has the lowest id, so the
 * result depends only on the words and their counts, in any order. Overlapping pairs count ("aaa" contains "aa" twice)
 * and are merged from the left, as in Hugging Face's trainer.
 *
 * @param words  Symbols of each distinct word, each in [0, alphabetSize).
 * @param counts How often each word occurs, a positive integer.
 */
export function learnMerges(words: readonly Uint8Array[], counts: readonly number[], options: MergeOptions): Merge[] {
  const text = new LinkedText(words, counts);
  const pairs = new PairTable();
  text.forEachPair((left, right, at, weight) => pairs.add(left, right, at, weight));
  pairs.settle();
  const merges: Merge[] = [];
  while (merges.length < options.mergeCount) {
    const top = pairs.takeMostFrequent();
    if (top === undefined || top.count < options.minFrequency) break;
    const merged = options.alphabetSize + merges.length;
    merges.push({ left: top.left, right: top.right });
    for (const at of top.places) text.mergeAt(at, top.left, top.right, merged, pairs);
    pairs.settle();
  }
  return merges;
}

/** The symbols of all words in one array. Words are separated by gaps that no pair crosses. */
class LinkedText {
  private readonly symbol: Int32Array;
  private readonly next: Int32Array;
  private readonly previous: Int32Array;
  /** Count of the word that each position belongs to. */
  private readonly weight: Float64Array;

  constructor(words: readonly Uint8Array[], counts: readonly number[]) {
    const size = words.reduce((sum, word) => sum + word.length + 1, 1);
    this.symbol = new Int32Array(size).fill(-1);
    this.weight = new Float64Array(size);
    this.next = Int32Array.from({ length: size }, (_, i) => i + 1);
    this.previous = Int32Array.from({ length: size }, (_, i) => i - 1);
    let start = 1;
    for (const [i, word] of words.entries()) {
      this.symbol.set(word, start);
      this.weight.fill(counts[i]!, start, start + word.length);
      start += word.length + 1;
    }
  }

  forEachPair(visit: (left: number, right: number, at: number, weight: number) => void): void {
    for (let at = 1; at + 1 < this.symbol.length; at++) {
      const left = this.symbol[at]!;
      const right = this.symbol[at + 1]!;
      if (left >= 0 && right >= 0) visit(left, right, at, this.weight[at]!);
    }
  }

  /** Merges the pair that starts at a position, unless an earlier merge has used one of its symbols. */
  mergeAt(at: number, left: number, right: number, merged: number, pairs: PairTable): void {
    const { symbol, next, previous } = this;
    if (symbol[at] !== left) return;
    const second = next[at]!;
    if (symbol[second] !== right) return;
    const weight = this.weight[at]!;
    const before = previous[at]!;
    const after = next[second]!;
    symbol[at] = merged;
    symbol[second] = -2; // merged away: nothing refers to this position any longer
    next[at] = after;
    previous[after] = at;
    if (symbol[before]! >= 0) {
      pairs.remove(symbol[before]!, left, weight);
      pairs.add(symbol[before]!, merged, before, weight);
    }
    if (symbol[after]! >= 0) {
      pairs.remove(right, symbol[after]!, weight);
      pairs.add(merged, symbol[after]!, at, weight);
    }
  }
}

interface Pair extends Merge {
  count: number;
  /** Positions at which the pair started when it was seen. Some may have been merged away since. */
  places: number[];
}

/** Symbols need fewer than 21 bits, so two of them fit into the 53 bits of an exact double. */
const SYMBOL_LIMIT = 2 ** 21;

/** Counts of all pairs, and a heap that finds the most frequent one. */
class PairTable {
  private readonly pairs = new Map<number, Pair>();
  private readonly grown = new Set<Pair>();
  private readonly heap: { count: number; pair: Pair }[] = [];

  add(left: number, right: number, at: number, weight: number): void {
    const key = left * SYMBOL_LIMIT + right;
    let pair = this.pairs.get(key);
    if (pair === undefined) {
      pair = { left, right, count: 0, places: [] };
      this.pairs.set(key, pair);
    }
    pair.count += weight;
    pair.places.push(at);
    this.grown.add(pair);
  }

  /** Lowers the count of a pair. Its old heap entry remains and is corrected when it reaches the top. */
  remove(left: number, right: number, weight: number): void {
    const pair = this.pairs.get(left * SYMBOL_LIMIT + right);
    if (pair !== undefined) pair.count -= weight;
  }

  /** Pushes the pairs whose counts grew since the last call onto the heap. */
  settle(): void {
    for (const pair of this.grown) this.push({ count: pair.count, pair });
    this.grown.clear();
  }

  takeMostFrequent(): Pair | undefined {
    for (let top = this.pop(); top !== undefined; top = this.pop()) {
      const { pair, count } = top;
      if (pair.count === count) {
        this.pairs.delete(pair.left * SYMBOL_LIMIT + pair.right);
        return pair;
      }
      if (pair.count > 0) this.push({ count: pair.count, pair });
    }
    return undefined;
  }

  private push(entry: HeapEntry): void {
    const heap = this.heap;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!comesFirst(entry, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  private pop(): HeapEntry | undefined {
    const heap = this.heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && comesFirst(heap[child + 1]!, heap[child]!)) child++;
      if (!comesFirst(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}

interface HeapEntry {
  count: number;
  pair: Pair;
}

function comesFirst(a: HeapEntry, b: HeapEntry): boolean {
  if (a.count !== b.count) return a.count > b.count;
  if (a.pair.left !== b.pair.left) return a.pair.left < b.pair.left;
  return a.pair.right < b.pair.right;
}
