// The entry of the worker threads of `tokenize`. A thread receives a codec's encoder, then batches of encoded files, and answers
// with tokens. It loads neither TF.js nor any codec, because it must begin quickly, except where a plugin needs them.
import { parentPort } from 'node:worker_threads';
import './engine/register-node.js';
import { openModel } from './engine/model.js';
import type { RawSample } from './interfaces/index.js';
import { encodeFitted } from './codec/encode.js';
import type { BatchInput } from './data/batches.js';
import { fullMedium } from './media/node.js';
import type { Answer, EncoderModel, Message } from './sdk/encoder-pool.js';
import { decodeBatch, encodeBatch } from './sdk/encoder.js';
import type { Encoded } from './sdk/encoder.js';
import { usePlugin } from './sdk/plugin.js';
import { packError } from './sdk/thread-errors.js';

const port = parentPort!;

type Encode = (decoded: Decoded) => Promise<Encoded[]>;
type Decoded = Awaited<ReturnType<typeof decodeBatch>>;

/** Whether the medium's module is being loaded. */
let starting = false;
let input: Promise<BatchInput>;
let encoder: Promise<Encode>;
/** The pieces of batches that are not complete yet. */
const batches = new Map<number, Promise<Decoded>[]>();

port.on('message', (message: Message) => {
  if ('model' in message) {
    input = inputOf(message);
    encoder = open(message);
    // Every batch reports their failures.
    for (const opening of [input, encoder]) opening.catch(() => undefined);
  } else if ('samples' in message) decode(message.id, message.piece, message.samples);
  else if ('complete' in message) void answer(message.id).then((reply) => port.postMessage(reply));
  // A module that does not finish loading would keep the thread alive.
  else if (starting) process.exit();
  else port.close();
});

async function inputOf({ module, medium, input: own }: EncoderModel): Promise<BatchInput> {
  starting = true;
  // While the module loads, only what it waits for keeps the thread alive, so that waiting for nothing is noticed.
  port.unref();
  try {
    await usePlugin(module, () => import('./index.js'));
    return { medium: fullMedium(medium), input: own };
  } finally {
    port.ref();
    starting = false;
    port.postMessage({ started: true } satisfies Answer);
  }
}

async function open({ model, threads, ...codec }: EncoderModel): Promise<Encode> {
  const { medium } = await input;
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
  const decoded = input.then((own) => decodeBatch(own, samples));
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
