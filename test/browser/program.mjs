// A program as a page would run it: only the browser entry, ONNX Runtime for the web, and models that are downloaded.
// Prints what it made as JSON. Usage: node program.mjs URL-OF-PRIOR
import * as ort from 'onnxruntime-web';
import { fetchModel, fromRgba, loadCodec, loadPrior, setRuntime } from '../../dist/src/browser.js';
import { drawing, perform } from './task.mjs';

const url = process.argv[2];
ort.env.wasm.numThreads = 1;
setRuntime(ort);
const codec = await loadCodec(await fetchModel(`${url}/codec`));
const prior = await loadPrior(await fetchModel(url));
console.log(JSON.stringify(await perform(codec, prior, fromRgba(drawing()))));
