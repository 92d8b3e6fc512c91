// The browser entry in a process of its own, with onnxruntime-web alone, gives what the Node entry gives.
import { execFile } from 'node:child_process';
import { createReadStream, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fetchModel, fromRgba, loadCodec as loadCodecFiles, setRuntime } from '../../src/browser.js';
import { loadCodec, loadPrior } from '../../src/index.js';
import { drawing, perform } from './task.mjs';
import type { Performed } from './task.mjs';

const MODELS = fileURLToPath(new URL('../../fixtures/models/', import.meta.url));
const PROGRAM = fileURLToPath(new URL('program.mjs', import.meta.url));

let server: Server;
let url: string;

beforeAll(async () => {
  server = createServer(({ url: path }, response) => {
    const file = join(MODELS, path!);
    if (!existsSync(file)) response.writeHead(404).end();
    else createReadStream(file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/shapes`;
});

afterAll(() => server.close());

describe('the browser entry', () => {
  it('encodes, decodes and generates as the Node entry does', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, url], { maxBuffer: 2 ** 26 });
    const made = JSON.parse(stdout) as Performed;
    const codec = await loadCodec(join(MODELS, 'shapes/codec'));
    const prior = await loadPrior(join(MODELS, 'shapes'));
    const expected = await perform(codec, prior, fromRgba(drawing()));
    expect(made.ids).toEqual(expected.ids);
    // The native library and WebAssembly add up in different orders: a value may round to its neighbor.
    for (const [i, pixels] of expected.pictures.entries()) {
      const errors = pixels.map((value, at) => Math.abs(value - made.pictures[i]![at]!));
      expect(Math.max(...errors)).toBeLessThanOrEqual(1);
      expect(errors.filter((error) => error > 0).length).toBeLessThan(errors.length / 100);
    }
    prior.dispose();
    codec.dispose();
  });

  it('downloads exactly the files of a model, and verifies them', async () => {
    const files = await fetchModel(`${url}/codec/`);
    expect(Object.keys(files).sort()).toEqual(['model.json', 'model.safetensors']);
    const weights = files['model.safetensors']!.slice();
    weights[weights.length - 1]! ^= 1;
    await expect(loadCodecFiles({ ...files, 'model.safetensors': weights })).rejects.toThrow(
      /E_MODEL_FILE codec\/model\.safetensors/,
    );
    await expect(loadCodecFiles(await fetchModel(url))).rejects.toThrow(/E_MODEL_KIND codec: expected a codec/);
  });

  it('names the address of a download that failed', async () => {
    await expect(fetchModel(`${url}/elsewhere`)).rejects.toThrow(
      expect.objectContaining({ code: 'E_FETCH', message: expect.stringContaining('/shapes/elsewhere/model.json') }),
    );
    await expect(fetchModel('models/shapes')).rejects.toThrow(/E_FETCH .*received "models\/shapes"/);
  });

  it('stops a download when its signal fires', async () => {
    await expect(fetchModel(url, { signal: AbortSignal.abort() })).rejects.toThrow(/E_ABORTED .*model\.json/);
  });

  it('names the address of a download that is cut short', async () => {
    const cut = createServer((_, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('{');
      setTimeout(() => response.destroy(), 50);
    });
    await new Promise<void>((resolve) => cut.listen(0, '127.0.0.1', resolve));
    const { port } = cut.address() as AddressInfo;
    await expect(fetchModel(`http://127.0.0.1:${port}/m`)).rejects.toThrow(
      /E_FETCH http:.*\/m\/model\.json: the download failed/,
    );
    cut.close();
  });

  it('says what it expected of models and images that are none', async () => {
    await expect(loadCodecFiles(undefined as never)).rejects.toThrow(/^E_NOT_A_MODEL codec: /);
    await expect(loadCodecFiles({ 'model.json': '{}' } as never)).rejects.toThrow(
      'E_NOT_A_MODEL codec/model.json: expected its bytes in a Uint8Array, received "{}".',
    );
    await expect(fetchModel('data:text/plain,hi')).rejects.toThrow(/^E_FETCH fetchModel\(url\): /);
    for (const image of [undefined, {}, { width: 1, height: 1, data: [0, 0, 0, 0] }])
      expect(() => fromRgba(image as never)).toThrow(/^E_IMAGE_SHAPE fromRgba: /);
  });

  it('refuses an ONNX Runtime that is too old, or another', () => {
    const parts = { InferenceSession: { create: () => undefined }, Tensor: () => undefined };
    expect(() => setRuntime({ ...parts, env: { versions: { web: '1.17.3' } } } as never)).toThrow(
      'expected onnxruntime-web of version 1.30 or later, received version 1.17.3.',
    );
    expect(() => setRuntime({ ...parts, env: { versions: { node: '1.30.0' } } } as never)).toThrow('another module');
  });

  it.each([[undefined], [{}], [null]])('refuses %j for ONNX Runtime', (ort) => {
    expect(() => setRuntime(ort as never)).toThrow(/E_ENGINE_RUNTIME setRuntime\(ort\)/);
  });
});
