// Token shards: any sample by its index, all of them in a shuffled order, and how well the codebook is used.
//
//   node examples/read-shards.mjs TOKENS
import { CodebookMeter, ShardReader } from 'tesserae';

const [directory] = process.argv.slice(2);
if (!directory) throw new Error('usage: read-shards.mjs TOKENS');

const reader = await ShardReader.open(directory, { verify: 'full' });
console.log(`${reader.size('train')} training samples, ${reader.size('test')} held out, codec ${reader.codec.name}`);

const { key, captions, tokens } = await reader.read('train', 0);
console.log(`first: ${key}, "${captions[0] ?? ''}", ids ${[...tokens.maps[0].ids.subarray(0, 8)].join(' ')} ...`);

const meter = new CodebookMeter(reader.maps[0]);
const epoch = reader.shuffledOrder('train', /* seed */ 0, /* epoch */ 0);
for await (const sample of reader.stream('train', epoch)) meter.add(sample.tokens.maps[0].ids);
const { used, vocabSize, perplexity } = meter.result();
console.log(`${used} of ${vocabSize} codes in use, perplexity ${perplexity.toFixed(1)}`);
await reader.close();
