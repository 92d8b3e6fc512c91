// What the engine runs on under Node.js. Every entry of a Node program imports this file for its effect: the public
// API, the command line once its options are known, worker threads and child processes. Nothing heavy is loaded before
// the first model runs.
import { availableParallelism } from 'node:os';
import { useTensorflowLoader } from './engines.js';
import { load } from './runtime-node.js';
import { setDefaultThreads, useRuntimeLoader } from './runtime.js';
import { loadInstalledTensorflow } from './tensorflow.js';

setDefaultThreads(Number(process.env.TESSERAE_THREADS) || availableParallelism());
useRuntimeLoader(() => load(process.env.TESSERAE_ORT));
useTensorflowLoader(loadInstalledTensorflow);
