// Counts what the architecture promises: `node scripts/house.mjs [ROOT]`. Lines of code, casts, the longest functions and files, and the
// files that name codebookSize.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import ts from 'typescript';

const root = resolve(process.argv[2] ?? '.');
const files = execFileSync('git', ['ls-files', 'src', 'tokenizers', 'priors', 'fixtures'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file.endsWith('.ts'));
const sources = files.map((file) => {
  const text = readFileSync(join(root, file), 'utf8');
  return { file, text, tree: ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true) };
});

const counts = { nonNull: 0, casts: 0, tensorCasts: 0, asUnknown: 0 };
const functions = [];
for (const { file, tree } of sources) {
  const visit = (node) => {
    if (ts.isNonNullExpression(node)) counts.nonNull++;
    if (ts.isAsExpression(node) && node.type.getText() !== 'const') {
      counts.casts++;
      if (/\btf\.(Tensor|Scalar|Variable)/i.test(node.type.getText())) counts.tensorCasts++;
      if (node.type.getText() === 'unknown') counts.asUnknown++;
    }
    if (ts.isFunctionLike(node) && node.body) functions.push({ file, name: nameOf(node), lines: linesOf(tree, node) });
    node.forEachChild(visit);
  };
  tree.forEachChild(visit);
}

function nameOf(node) {
  return node.name?.getText() ?? node.parent.name?.getText?.() ?? 'anonymous';
}

function linesOf(tree, node) {
  const line = (at) => tree.getLineAndCharacterOfPosition(at).line;
  return line(node.end) - line(node.getStart()) + 1;
}

const codeLines = (text) =>
  text.split('\n').filter((line) => line.trim() !== '' && !/^\s*(\/\/|\/\*|\*)/.test(line)).length;
const mentions = (word) => sources.filter(({ text }) => new RegExp(`\\b${word}\\b`).test(text)).map(({ file }) => file);
const top = (items, by, count = 3) => [...items].sort((a, b) => by(b) - by(a)).slice(0, count);

const row = (name, value) => console.log(`${name.padEnd(46)} ${value}`);
row('files', sources.length);
row(
  'lines',
  sources.reduce((sum, { text }) => sum + text.split('\n').length - 1, 0),
);
row(
  'lines of code, without comments and blanks',
  sources.reduce((sum, { text }) => sum + codeLines(text), 0),
);
row('casts to tensor types', counts.tensorCasts);
row('`as unknown`', counts.asUnknown);
row('casts in total', counts.casts);
row('non-null `!`', counts.nonNull);
for (const { file, name, lines } of top(functions, (one) => one.lines))
  row('longest functions', `${lines}  ${name} in ${file}`);
for (const { file, text } of top(sources, ({ text }) => text.split('\n').length))
  row('longest files', `${text.split('\n').length - 1}  ${file}`);
row('files that name codebookSize', `${mentions('codebookSize').length}  ${mentions('codebookSize').join(' ')}`);
