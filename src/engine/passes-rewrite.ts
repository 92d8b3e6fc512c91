// Graph rewriting: one sweep of rules over a graph, which is rebuilt and never modified in place. Each rule sees one
// node whose inputs have already been rewritten, and may return a value that replaces it.
import { reachable } from './graph.js';
import type { Attribute, Value } from './graph.js';
import type { Lower } from './lowering.js';

/** A node about to be rebuilt. */
export interface Site {
  readonly op: string;
  readonly domain: string;
  readonly inputs: (Value | null)[];
  readonly attributes: Record<string, Attribute>;
  /** Result of the node: shape and dtype. */
  readonly output: Value;
  /** Whether only this node reads the value, so that the value's producer may be fused or split. */
  single(value: Value): boolean;
}

export type Rule = (g: Lower, site: Site) => Value | undefined;

/** Applies the rules to every node in topological order. The first rule that returns a value wins. */
export function rewrite(g: Lower, outputs: readonly Value[], rules: readonly Rule[]): Value[] {
  const nodes = reachable(outputs);
  const readers = countReaders(outputs);
  const fresh = new Map<Value, Value>();
  const uses = new Map<Value, number>();
  const single = (value: Value): boolean => (uses.get(value) ?? 1) === 1;
  for (const node of nodes) {
    const inputs = node.inputs.map((value) => (value && fresh.get(value)) ?? value);
    const unchanged = inputs.every((value, i) => value === node.inputs[i]);
    const results = node.outputs.length > 1 ? rebuildAll() : [rebuildOne()];
    node.outputs.forEach((output, i) => {
      const result = results[i]!;
      fresh.set(output, result);
      uses.set(result, (uses.get(result) ?? 0) + (readers.get(output) ?? 0));
    });

    function rebuildOne(): Value {
      const output = node.outputs[0]!;
      const site: Site = { op: node.op, domain: node.domain, inputs, attributes: node.attributes, output, single };
      for (const rule of rules) {
        const better = rule(g, site);
        if (better) return better;
      }
      return unchanged ? output : g.op(node.op, inputs, output, node.attributes, node.domain);
    }

    function rebuildAll(): Value[] {
      return unchanged ? node.outputs : g.multi(node.op, inputs, node.outputs, node.attributes, node.domain);
    }
  }
  return outputs.map((value) => fresh.get(value) ?? value);
}

/** Counts the nodes and outputs that read each value. */
function countReaders(outputs: readonly Value[]): Map<Value, number> {
  const readers = new Map<Value, number>();
  const count = (value: Value | null): void => {
    if (value) readers.set(value, (readers.get(value) ?? 0) + 1);
  };
  for (const node of reachable(outputs)) node.inputs.forEach(count);
  outputs.forEach(count);
  return readers;
}
