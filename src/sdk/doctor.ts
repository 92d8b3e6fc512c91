// Examines this machine: which engines and image formats work, and how fast it is.
import { createRequire } from 'node:module';
import { arch, availableParallelism, cpus, freemem, platform, release, totalmem } from 'node:os';
import { compile, defaultThreads, loadRuntime, tf } from '../engine/index.js';
import { messageOf } from '../errors.js';
import type { Image } from '../interfaces/index.js';
import { fallbackLine, keepFallbackQuiet } from '../native.js';
import { decodeImage, encodePng } from '../media/image/image.js';
import { IMAGE_FORMATS } from '../media/image/sniff.js';
import { packageVersion } from './version.js';

/** The version of something that works, or the reason why it does not. */
export type Finding = { ok: true; version: string; remark?: string } | { ok: false; reason: string };

export interface Diagnosis {
  kind: 'doctor';
  /** True if everything that a job needs works. */
  ok: boolean;
  tesserae: string;
  node: string;
  system: {
    platform: string;
    release: string;
    arch: string;
    cpu: string;
    cores: number;
    memoryGiB: number;
    freeMemoryGiB: number;
  };
  /** Number of threads that an operation uses. */
  threads: number;
  engines: { onnxruntime: Finding; tensorflow: Finding; reference: Finding };
  /** Whether ONNX Runtime's native library is used. Otherwise WebAssembly is, which is several times slower. */
  native: boolean;
  pictures: Finding;
  /** Measured by this call; null if the engine does not work. */
  speed: { matmulGflops: number; convGflops: number; memoryGBps: number } | null;
}

/** Checks engines, image formats and speed. Takes about two seconds. */
export async function doctor(): Promise<Diagnosis> {
  const engines = {
    onnxruntime: await onnxruntime(),
    tensorflow: tensorflow(),
    reference: { ok: true as const, version: tf.version_core, remark: 'plain JavaScript, slow' },
  };
  const pictures = await pictureFormats();
  return {
    kind: 'doctor',
    ok: engines.onnxruntime.ok && pictures.ok,
    tesserae: packageVersion(),
    node: process.versions.node,
    system: {
      platform: platform(),
      release: release(),
      arch: arch(),
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      cores: availableParallelism(),
      memoryGiB: gib(totalmem()),
      freeMemoryGiB: gib(freemem()),
    },
    threads: defaultThreads(),
    engines,
    native: engines.onnxruntime.ok && engines.onnxruntime.remark === 'native',
    pictures,
    speed: engines.onnxruntime.ok
      ? { matmulGflops: await matmulGflops(), convGflops: await convGflops(), memoryGBps: memoryGBps() }
      : null,
  };
}

const gib = (bytes: number): number => Math.round((10 * bytes) / 2 ** 30) / 10;

async function onnxruntime(): Promise<Finding> {
  keepFallbackQuiet();
  try {
    const { kind, version, standsIn } = await loadRuntime();
    if (kind === 'native') return { ok: true, version, remark: 'native' };
    return {
      ok: true,
      version,
      remark: standsIn === undefined ? 'WebAssembly, as TESSERAE_ORT asks' : fallbackLine(standsIn),
    };
  } catch (error) {
    return { ok: false, reason: messageOf(error) };
  }
}

/** Checks whether it is installed. Loading it would make it the backend of this process. */
function tensorflow(): Finding {
  const require = createRequire(import.meta.url);
  for (const name of ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node']) {
    try {
      const { version } = require(`${name}/package.json`) as { version: string };
      return { ok: true, version, remark: `${name}, used with --engine tensorflow` };
    } catch {
      // the next one
    }
  }
  return { ok: false, reason: 'not installed; optional' };
}

/** Checks that an image survives encoding and decoding. */
async function pictureFormats(): Promise<Finding> {
  const pixels = Uint8Array.from({ length: 16 * 16 * 3 }, (_, i) => (i * 37) % 256);
  const image: Image = { kind: 'image', width: 16, height: 16, channels: 3, pixels };
  try {
    const back = await decodeImage(await encodePng(image), 'doctor.png');
    if (Buffer.compare(back.pixels, pixels) !== 0)
      return { ok: false, reason: 'a PNG did not come back as it was written' };
    const sharp = (await import('sharp')).default;
    return {
      ok: true,
      version: sharp.versions.sharp ?? 'unknown',
      remark: `libvips ${sharp.versions.vips}; ${IMAGE_FORMATS.replace(' or ', ', ')}`,
    };
  } catch (error) {
    return { ok: false, reason: messageOf(error) };
  }
}

const SECONDS_EACH = 0.4;

/** Median rate of a compiled function after it is warm. @param work number of operations in a call. */
async function gflops(work: number, fn: (...args: tf.Tensor[]) => tf.Tensor, args: tf.Tensor[]): Promise<number> {
  const compiled = compile(fn, { name: 'doctor', engine: 'onnxruntime' });
  const call = async (): Promise<number> => {
    const start = performance.now();
    (await compiled(...args)).dispose();
    return performance.now() - start;
  };
  for (let i = 0; i < 3; i++) await call();
  const times: number[] = [];
  for (const end = performance.now() + 1000 * SECONDS_EACH; times.length < 5 || performance.now() < end;)
    times.push(await call());
  await compiled.dispose();
  tf.dispose(args);
  return work / (median(times) * 1e6);
}

function matmulGflops(): Promise<number> {
  const n = 1024;
  return gflops(2 * n ** 3, (a, b) => tf.matMul(a, b), [
    tf.randomUniform([n, n], -1, 1, 'float32', 1),
    tf.randomUniform([n, n], -1, 1, 'float32', 2),
  ]);
}

/** Rate of a 3x3 convolution over [8, 32, 32, 128], as in the middle of a codec. */
export function convGflops(): Promise<number> {
  const [batch, side, channels] = [8, 32, 128];
  const images = tf.randomUniform([batch, side, side, channels], -1, 1, 'float32', 1);
  const filter = tf.randomUniform([3, 3, channels, channels], -1, 1, 'float32', 2);
  return gflops(
    2 * batch * side ** 2 * 9 * channels ** 2,
    (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'same'),
    [images, filter],
  );
}

/** Bytes per second that are read and written by copying 128 MiB in one thread. */
function memoryGBps(): number {
  const from = new Float64Array(2 ** 24).fill(1);
  const to = new Float64Array(from.length);
  const times = Array.from({ length: 7 }, () => {
    const start = performance.now();
    to.set(from);
    return performance.now() - start;
  });
  return (2 * from.byteLength) / (median(times) * 1e6);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
