// Hugging Face's own Python libraries must give the ids that we give. TESSERAE_PYTHON names a Python that has
// `tokenizers` (and `transformers`); without one these tests are skipped.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { trainBpe } from '../../src/text/bpe.js';
import { ODD_TEXTS, plainCaptions } from './captions.js';

const python = process.env['TESSERAE_PYTHON'] ?? 'python3';
const directory = mkdtempSync(join(tmpdir(), 'tesserae-text-'));
// Python looks for modules where it runs, and this repository has a folder `tokenizers` of its own.
const has = (module: string): boolean => spawnSync(python, ['-c', `import ${module}`], { cwd: directory }).status === 0;
const hasTokenizers = has('tokenizers');
afterAll(() => rmSync(directory, { recursive: true }));

const fuzz = fc.sample(fc.string({ unit: 'grapheme', maxLength: 60 }), { seed: 1, numRuns: 500 });
const texts = [...ODD_TEXTS, ...plainCaptions(50, 2), ...fuzz, ...fuzz.map((text) => text.toUpperCase())];
const captions = [...plainCaptions(500), ...ODD_TEXTS, ...ODD_TEXTS, ...fuzz.slice(0, 200)];

function run(script: string, input: object): unknown {
  const result = spawnSync(python, ['-c', script], {
    cwd: directory,
    input: JSON.stringify(input),
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (result.status !== 0) throw new Error(result.stderr);
  return JSON.parse(result.stdout);
}

describe.skipIf(!hasTokenizers)("Hugging Face's Python tokenizers", () => {
  it.each([false, true])('gives the same ids and the same text back, lowercase %s', (lowercase) => {
    const file = join(directory, `tokenizer-${lowercase}.json`);
    const tokenizer = trainBpe(captions, { vocabSize: 1500, lowercase, minFrequency: 1 });
    writeFileSync(file, tokenizer.json);
    const ids = texts.map((text) => tokenizer.encode(text));
    const answer = run(
      `
import json, sys
from tokenizers import Tokenizer
given = json.load(sys.stdin)
tokenizer = Tokenizer.from_file(given["file"])
ids = [tokenizer.encode(text).ids for text in given["texts"]]
json.dump({"ids": ids, "texts": [tokenizer.decode(i, skip_special_tokens=False) for i in ids], "size": tokenizer.get_vocab_size()}, sys.stdout)
`,
      { file, texts },
    );
    expect(answer).toEqual({ ids, texts: ids.map((list) => tokenizer.decode(list)), size: tokenizer.vocabSize });
  });

  it('learns the same merges in its own trainer', () => {
    const file = join(directory, 'trained.json');
    const tokenizer = trainBpe(captions, { vocabSize: 1500 });
    writeFileSync(file, tokenizer.json);
    const answer = run(
      `
import json, sys
from tokenizers import Tokenizer, models, trainers, pre_tokenizers
given = json.load(sys.stdin)
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = Tokenizer.from_file(given["file"]).pre_tokenizer
trainer = trainers.BpeTrainer(vocab_size=1500, min_frequency=2, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
tokenizer.train_from_iterator(given["captions"], trainer)
model = json.loads(tokenizer.to_str())["model"]
json.dump({"vocab": model["vocab"], "merges": [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]}, sys.stdout)
`,
      { file, captions },
    );
    const { vocab, merges } = (JSON.parse(tokenizer.json) as { model: { vocab: object; merges: string[] } }).model;
    expect(answer).toEqual({ vocab, merges });
  });
});

describe.skipIf(!hasTokenizers || !has('transformers'))("Hugging Face's Python transformers", () => {
  it('loads the file and gives the same ids', () => {
    const file = join(directory, 'transformers.json');
    const tokenizer = trainBpe(captions, { vocabSize: 1500, lowercase: true });
    writeFileSync(file, tokenizer.json);
    const answer = run(
      `
import json, sys
from transformers import PreTrainedTokenizerFast
given = json.load(sys.stdin)
tokenizer = PreTrainedTokenizerFast(tokenizer_file=given["file"])
json.dump([tokenizer(text)["input_ids"] for text in given["texts"]], sys.stdout)
`,
      { file, texts },
    );
    expect(answer).toEqual(texts.map((text) => tokenizer.encode(text)));
  });
});
