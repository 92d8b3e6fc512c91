import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { trainBpe } from '../../src/text/bpe.js';
import { loadTextTokenizer } from '../../src/text/tokenizer.js';
import { plainCaptions } from './captions.js';

const trained = trainBpe(plainCaptions(200), { vocabSize: 400 });
const base = JSON.parse(trained.json) as Record<string, unknown> & { model: Record<string, unknown> };

describe('loadTextTokenizer', () => {
  it('takes the text of a file or the parsed object', () => {
    const fromObject = loadTextTokenizer(JSON.parse(trained.json) as object);
    expect(fromObject.encode('a red star')).toEqual(trained.encode('a red star'));
    expect(loadTextTokenizer(fromObject.json).encode('a red star')).toEqual(trained.encode('a red star'));
  });

  it('reads a WordPiece tokenizer with special tokens and adds none of them', () => {
    const wordPiece = loadTextTokenizer({
      added_tokens: [
        { id: 0, content: '[UNK]', special: true },
        { id: 1, content: '[CLS]', special: true },
      ],
      normalizer: {
        type: 'BertNormalizer',
        lowercase: true,
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: null,
      },
      pre_tokenizer: { type: 'BertPreTokenizer' },
      post_processor: {
        type: 'TemplateProcessing',
        single: [{ SpecialToken: { id: '[CLS]', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      },
      decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
      model: {
        type: 'WordPiece',
        unk_token: '[UNK]',
        continuing_subword_prefix: '##',
        max_input_chars_per_word: 100,
        vocab: { '[UNK]': 0, '[CLS]': 1, red: 2, '##dish': 3, circle: 4 },
      },
    });
    expect(wordPiece.vocabSize).toBe(5);
    expect(wordPiece.encode('Reddish circle zebra')).toEqual([2, 3, 4, 0]);
    expect(wordPiece.decode([2, 3, 4])).toBe('reddish circle');
  });

  it('counts added tokens above the model vocabulary', () => {
    const added = loadTextTokenizer({
      ...base,
      added_tokens: [{ id: trained.vocabSize, content: '<start>', special: true }],
    });
    expect(added.vocabSize).toBe(trained.vocabSize + 1);
    expect(added.encode('<start>a')).toEqual([trained.vocabSize, ...trained.encode('a')]);
  });

  it.each([
    ['text that is not JSON', 'not json'],
    ['a list', '[]'],
    ['an object without a model', {}],
    ['a model without a vocabulary', { ...base, model: { type: 'BPE', merges: [] } }],
    ['a vocabulary without tokens', { ...base, model: { ...base.model, vocab: {} } }],
    ['a negative id', { ...base, model: { ...base.model, vocab: { a: -1 } } }],
    ['an id that is no integer', { ...base, model: { ...base.model, vocab: { a: 0.5 } } }],
    ['an id that is text', { ...base, model: { ...base.model, vocab: { a: '0' } } }],
    ['an id out of proportion to the file', { ...base, model: { ...base.model, vocab: { a: 4_000_000_000 } } }],
    ['an added token out of proportion to the file', { ...base, added_tokens: [{ id: 2 ** 31, content: '<x>' }] }],
    ['added tokens that are no list', { ...base, added_tokens: {} }],
    ['an added token without its text', { ...base, added_tokens: [{ id: 3 }] }],
    ['a BPE model without merges', { ...base, model: { ...base.model, merges: undefined } }],
    ['an unknown pre-tokenizer', { ...base, pre_tokenizer: { type: 'Oracle' } }],
    ['an unknown decoder', { ...base, decoder: { type: 'Oracle' } }],
  ])('refuses %s', (_, file) => {
    expect(() => loadTextTokenizer(file)).toThrow(/^E_TEXT_TOKENIZER tokenizer\.json: expected /);
  });
});

describe('encode and decode', () => {
  it('hands out ids that the caller may change', () => {
    trained.encode('a red star').fill(0);
    expect(trained.decode(trained.encode('a red star'))).toBe('a red star');
  });

  it('says which piece of text has no id', () => {
    const narrow = loadTextTokenizer({
      model: {
        type: 'WordPiece',
        vocab: { red: 0 },
        unk_token: '[UNK]',
        continuing_subword_prefix: '##',
        max_input_chars_per_word: 100,
      },
      pre_tokenizer: { type: 'Whitespace' },
    });
    expect(narrow.encode('red red')).toEqual([0, 0]);
    expect(() => narrow.encode('red blue')).toThrow(/E_TEXT_UNKNOWN/);
  });

  it('refuses ids outside the vocabulary', () => {
    for (const id of [-1, trained.vocabSize, 0.5, Number.NaN]) {
      expect(() => trained.decode([0, id])).toThrow(
        /E_TEXT_ID decode: expected ids in \[0, \d+\), received \S+ at position 1/,
      );
    }
  });

  it('decodes typed arrays, and no ids to no text', () => {
    expect(trained.decode(Int32Array.from(trained.encode('a red star')))).toBe('a red star');
    expect(trained.decode([])).toBe('');
  });
});

const data = process.env['TESSERAE_DATA'] ?? '../shared/data';
const gpt2File = join(data, 'text/gpt2-tokenizer.json');

describe.skipIf(!existsSync(gpt2File))('the GPT-2 tokenizer', () => {
  it('gives the reference ids and gives the text back', () => {
    const gpt2 = loadTextTokenizer(readFileSync(gpt2File, 'utf8'));
    const reference = JSON.parse(readFileSync(join(data, 'text/gpt2_encoded_tokens.json'), 'utf8')) as {
      text: string;
      token_ids: number[];
    };
    expect(gpt2.vocabSize).toBe(50257);
    expect(gpt2.encode(reference.text)).toEqual(reference.token_ids);
    expect(gpt2.decode(reference.token_ids)).toBe(reference.text);
  });
});
