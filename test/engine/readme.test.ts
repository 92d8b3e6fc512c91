// The README's examples run, and print what they say they print.
import { readFileSync } from 'node:fs';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import * as engine from '../../src/engine/node.js';
import { LOWERINGS } from '../../src/engine/kernels/index.js';

const readme = readFileSync(new URL('../../src/engine/README.md', import.meta.url), 'utf8');
const examples = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code!);

/** What an example promises: the comments that follow a console.log, on its line or on lines of their own. */
function promised(code: string): string[] {
  const promises: string[] = [];
  let open = false;
  for (const line of code.split('\n')) {
    const [, trailing] = /console\.log\(.*\);(?: \/\/ (.*))?$/.exec(line) ?? [undefined, null];
    if (trailing !== null) promises.push(trailing ?? '');
    else if (open && line.startsWith('// ')) promises.push([promises.pop(), line.slice(3)].filter(Boolean).join('\n'));
    open = trailing !== null || (open && line.startsWith('// '));
  }
  return promises;
}

async function printedBy(code: string): Promise<string[]> {
  const printed: string[] = [];
  const body = code
    .replaceAll(/^import type .*$/gm, '')
    .replaceAll(/^import (\{.*\}) from 'tesserae\/engine';$/gm, 'const $1 = engine;');
  const { outputText } = ts.transpileModule(`async function example() {\n${body}\n}`, {
    compilerOptions: { target: ts.ScriptTarget.ES2023 },
  });
  const example = new Function('engine', 'console', `${outputText}\nreturn example();`) as (
    ...args: unknown[]
  ) => Promise<void>;
  await example(engine, { log: (value: unknown) => printed.push(String(value)) });
  return printed;
}

describe('the README', () => {
  it.each(examples.map((code, i) => [i + 1, code] as const))('prints what example %i promises', async (_, code) => {
    expect(await printedBy(code)).toEqual(promised(code));
  });

  it('has examples', () => expect(examples.length).toBeGreaterThanOrEqual(7));

  it('lists every kernel there is', () => {
    const [, list] = /<!-- kernels -->\n(.*?)\n<!-- \/kernels -->/s.exec(readme)!;
    expect(list!.match(/\w+/g)!.toSorted()).toEqual(Object.keys(LOWERINGS).toSorted());
  });
});
