// Runs the task in the page, shows the reconstruction on the canvas, and sends what it made to the server that serves
// it.
import * as ort from 'onnxruntime-web/wasm';
import { fetchModel, fromRgba, loadCodec, loadPrior, setRuntime, toRgba } from 'tesserae/browser';
import { drawing, perform } from '../task.mjs';

const canvas = document.querySelector('canvas');

/** Puts pixels on the canvas. @returns what the canvas holds of them. */
function show(pixels, width, height) {
  Object.assign(canvas, { width, height });
  const context = canvas.getContext('2d');
  context.putImageData(new ImageData(pixels, width, height), 0, 0);
  return context.getImageData(0, 0, width, height);
}

async function main() {
  ort.env.wasm.numThreads = 1;
  setRuntime(ort);
  const codec = await loadCodec(await fetchModel('models/shapes/codec'));
  const prior = await loadPrior(await fetchModel('models/shapes'));
  const { width, height, data } = drawing();
  const picture = fromRgba(show(data, width, height));
  const performed = await perform(codec, prior, picture);
  const [reconstruction] = performed.pictures;
  const { input } = codec;
  const shown = fromRgba(
    show(toRgba({ kind: 'image', ...input, pixels: Uint8Array.from(reconstruction) }), input.width, input.height),
  );
  return { ...performed, shown: [...shown.pixels] };
}

const outcome = await main().catch((error) => ({ error: String(error?.stack ?? error) }));
await fetch('outcome', { method: 'POST', body: JSON.stringify(outcome) });
