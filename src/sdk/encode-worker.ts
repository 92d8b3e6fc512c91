// The body of a worker thread of `tokenize`: receives a codec's encoder, then batches of encoded files, and answers with
// tokens. Loads neither TF.js nor any codec: a thread must begin quickly to be worth its while.
import { parentPort } from 'node:worker_threads';
import '../engine/register-node.js';
import { openModel } from '../engine/model.js';
import type { RawSample } from '../interfaces/index.js';
import { encodeFitted } from '../codec/encode.js';
import { mediumNamed } from '../media/registry.js';
import type { Answer, EncoderModel, Message } from './encoder-pool.js';
import { decodeBatch, encodeBatch } from './encoder.js';
import type { Encoded } from './encoder.js';
import { packError } from './thread-errors.js';

const port = parentPort!;

type Encode = (decoded: Decoded) => Promise<Encoded[]>;
type Decoded = Awaited<ReturnType<typeof decodeBatch>>;

let input: EncoderModel['input'];
let encoder: Promise<Encode>;
/** The pieces of batches that are not complete yet. */
const batches = new Map<number, Promise<Decoded>[]>();

port.on('message', (message: Message) => {
  if ('model' in message) {
    input = message.input;
    encoder = open(message);
    // Each batch tells of it.
    encoder.catch(() => undefined);
  } else if ('samples' in message) decode(message.id, message.piece, message.samples);
  else if ('complete' in message) void answer(message.id).then((reply) => port.postMessage(reply));
  else port.close();
});

async function open({ model, threads, ...codec }: EncoderModel): Promise<Encode> {
  const medium = mediumNamed(codec.medium);
  const graph = await openModel(
    model,
    codec.maps.map(({ name }) => name),
    { threads },
  );
  const run = async (data: Float32Array, rows: number): Promise<Int32Array[]> =>
    (await graph.run({ inputs: { dtype: 'float32', shape: [rows, ...codec.itemShape], data } })) as Int32Array[];
  return async (decoded) => encodeBatch(decoded, (fitted) => encodeFitted(codec, medium, fitted, run));
}

/** Begins at once, so that the files of a batch need not all be in memory together. */
function decode(id: number, piece: number, samples: readonly RawSample[]): void {
  const decoded = decodeBatch(input, samples);
  const tell = (): void => port.postMessage({ id, piece } satisfies Answer);
  decoded.then(tell, tell);
  batches.set(id, [...(batches.get(id) ?? []), decoded]);
}

async function answer(id: number): Promise<Answer> {
  const pieces = batches.get(id) ?? [];
  batches.delete(id);
  try {
    const encoded = await (await encoder)((await Promise.all(pieces)).flat());
    return {
      id,
      encoded: encoded.map((one) => ('error' in one ? { key: one.key, error: packError(one.error) } : one)),
    };
  } catch (error) {
    return { id, failure: packError(error) };
  }
}
