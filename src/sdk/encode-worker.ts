// The body of a worker thread of `tokenize`: receives a codec's encoder, then batches of encoded files, and answers with
// tokens. Loads neither TF.js nor any codec: a thread must begin quickly to be worth its while.
import { parentPort } from 'node:worker_threads';
import { openModel } from '../engine/model.js';
import type { RawSample } from '../interfaces/index.js';
import { encodePictures } from '../media/picture-tokens.js';
import type { Answer, EncoderModel, Message } from './encoder-pool.js';
import { decodeBatch, encodeBatch } from './encoder.js';
import type { Encoded } from './encoder.js';
import { packError } from './thread-errors.js';

const port = parentPort!;

type Encode = (batch: readonly RawSample[]) => Promise<Encoded[]>;

let encoder: Promise<Encode>;

port.on('message', (message: Message) => {
  if ('model' in message) {
    encoder = open(message);
    // Each batch tells of it.
    encoder.catch(() => undefined);
  } else if ('batch' in message) void answer(message.id, message.batch).then((reply) => port.postMessage(reply));
  else port.close();
});

async function open({ model, threads, ...codec }: EncoderModel): Promise<Encode> {
  const { height, width, channels } = codec.input;
  const graph = await openModel(model, codec.maps.map(({ name }) => name), { threads });
  const run = async (data: Float32Array, rows: number): Promise<Int32Array[]> =>
    (await graph.run({ pixels: { dtype: 'float32', shape: [rows, height, width, channels], data } })) as Int32Array[];
  return async (batch) => encodeBatch(await decodeBatch(codec.input, batch), (images) => encodePictures(codec, images, run));
}

async function answer(id: number, batch: readonly RawSample[]): Promise<Answer> {
  try {
    const encoded = await (await encoder)(batch);
    return { id, encoded: encoded.map((one) => ('error' in one ? { key: one.key, error: packError(one.error) } : one)) };
  } catch (error) {
    return { id, failure: packError(error) };
  }
}
