// Makes the training data of the bundled models: folders of images with metadata.jsonl.
//
//   node models/prepare.mjs DATA OUT
//
// DATA has the archives that models/README.md names. OUT/all gets every image, for codecs; OUT/named those whose caption
// says what they show, for priors. Held-out images are those that each archive, opened alone, holds out; priors, which can
// only draw what they have seen, are trained on three quarters of them, too.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { openDataset } from 'tesserae';

const [data, out] = process.argv.slice(2);
if (!data || !out) throw new Error('usage: prepare.mjs DATA OUT');

const annotations = JSON.parse(await readFile(join(data, 'emoji/cldr-en-annotations.json'), 'utf8'));
const keywordsOf = new Map(Object.values(annotations).map(({ name, keywords }) => [name, keywords ?? []]));

/** Clip art whose names say nothing about what they show: series of signs, icons of interfaces, patterns. */
const UNNAMED =
  /^(shapes stars|shapes jigsaw|special patterns|recreation games cards|signs and symbols|computer icons (flat|lemon|etiquette)|computer buttons|geography maps)/;

/** @returns the captions of a clip art "turtle jurgen 02 (animals)": its name, and its name with the category. */
function clipartCaptions(caption) {
  const [, text, category] = /^(.*?)(?: \(([^)]*)\))?$/.exec(caption);
  const name = text
    .replace(/\b[\da-f]*\d[\da-f]{3,}\b|\d+/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  if (!category || UNNAMED.test(category) || !/[a-z]{3}/.test(name)) return undefined;
  return [name, `${name}, ${category}`];
}

/** @returns the captions of an emoji: its name, twice as often, and its keywords. Skin tones are left out. */
function emojiCaptions(name) {
  if (name.includes('skin tone')) return undefined;
  const keywords = (keywordsOf.get(name) ?? []).filter((word) => word !== name);
  const some = keywords.slice(0, 6);
  return some.length === 0 ? [name] : [name, name, [name, ...some].join(', '), some.join(', ')];
}

const sources = [
  { name: 'clipart', archive: 'clipart/openclipart-128.tar', captions: clipartCaptions },
  { name: 'emoji', archive: 'emoji/noto-emoji-72.tar', captions: emojiCaptions },
  { name: 'tiles', archive: 'tiles/dcss-tiles-32.tar', captions: () => undefined },
];

const rows = { all: [], named: [] };
for (const { name, archive, captions } of sources) {
  const dataset = await openDataset(join(data, archive));
  for (const split of ['train', 'test']) {
    for (let index = 0; index < dataset.size(split); index++) {
      const { key, content, captions: given } = await dataset.read(split, index);
      const file = `${name}/${key}.png`;
      const texts = captions(given[0]);
      await save('all', file, content.bytes, { file_name: file, split });
      const named = split === 'test' && index % 4 === 0 ? 'test' : 'train';
      if (texts) await save('named', file, content.bytes, { file_name: file, split: named, text: texts });
    }
  }
  await dataset.close();
}
for (const [folder, list] of Object.entries(rows)) {
  await writeFile(join(out, folder, 'metadata.jsonl'), list.map((row) => `${JSON.stringify(row)}\n`).join(''));
  console.log(`${folder}: ${list.length} images`);
}

async function save(folder, file, bytes, row) {
  const path = join(out, folder, file);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
  rows[folder].push(row);
}
