// A plugin: a medium that the package does not know, multivariate time series, and a codec for it. It uses the package's
// public exports alone, which it is called with, as `tesserae --plugin series.mjs` does.

/** @typedef {{ kind: 'series', interval: number, channels: number, values: Float32Array }} Series float32 [T, C], about [-1, 1]. */
/** @typedef {{ length: number, channels: number, interval: number, fit: 'length' | 'none' }} SeriesInput */

/** Seconds between two frames of a file, which does not say. */
const INTERVAL = 0.02;

const lengthOf = ({ values, channels }) => values.length / channels;

/** Frames as [T, C] in the NPY format 1.0 of NumPy, little-endian float32. */
function npyOf({ values, channels }) {
  const shape = `(${values.length / channels}, ${channels})`;
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`;
  const header = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + '\n';
  const file = new Uint8Array(10 + header.length + 4 * values.length);
  file.set([0x93, ...new TextEncoder().encode('NUMPY'), 1, 0]);
  const view = new DataView(file.buffer);
  view.setUint16(8, header.length, true);
  file.set(new TextEncoder().encode(header), 10);
  values.forEach((value, i) => view.setFloat32(10 + header.length + 4 * i, value, true));
  return file;
}

const isNpy = (bytes) => bytes[0] === 0x93 && new TextDecoder().decode(bytes.subarray(1, 6)) === 'NUMPY';

/** The medium. @param {typeof import('../../src/index.js')} tesserae */
export function seriesMedium({ InputError, ShapeError }) {
  /** @returns {Series} */
  const seriesOf = (bytes, source) => {
    const refuse = (found) => {
      throw new InputError('E_SERIES_FILE', `${source}: expected an NPY file of float32 [T, C], found ${found}.`);
    };
    if (!isNpy(bytes) || bytes.length < 10) return refuse('another file');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const start = 10 + view.getUint16(8, true);
    const header = new TextDecoder().decode(bytes.subarray(10, start));
    const [, frames, channels] = /'descr': '<f4'.*'fortran_order': False.*'shape': \((\d+), (\d+)\)/.exec(header) ?? [];
    const count = Number(frames) * Number(channels);
    if (!(count > 0) || bytes.length !== start + 4 * count)
      return refuse(`${bytes.length} bytes with ${header.trim()}`);
    const values = Float32Array.from({ length: count }, (_, i) => view.getFloat32(start + 4 * i, true));
    return { kind: 'series', interval: INTERVAL, channels: Number(channels), values };
  };

  /** @type {import('../../src/index.js').Medium<Series, SeriesInput>} */
  const series = {
    name: 'series',
    noun: { one: 'series', many: 'series' },
    axes: ['frames'],
    tensor: { name: 'series', meaning: '[batch, frame, channel], about [-1, 1]' },
    check: (where, media) => {
      const isSeries = media?.kind === 'series' && media.values instanceof Float32Array;
      if (!isSeries || media.values.length === 0 || media.values.length % media.channels !== 0)
        throw new ShapeError('E_SERIES_SHAPE', `${where}: expected a series whose values fit its channels.`);
    },
    info: (media) => ({ kind: 'series', length: lengthOf(media), channels: media.channels, interval: media.interval }),
    infoOf: ([length = 0], { channels, interval }) => ({ kind: 'series', length, channels, interval }),
    extentOf: (where, { kind, length }) => {
      if (kind !== 'series' || !Number.isInteger(length) || Number(length) < 1)
        throw new ShapeError('E_TOKENS_SHAPE', `${where}: expected a series of at least one frame.`);
      return [Number(length)];
    },
    itemShape: ({ length, channels }) => [length, channels],
    keepsExtent: ({ fit }) => fit === 'none',
    withExtent: (input, [length = 0]) => ({ ...input, length, fit: 'length' }),
    inputLike: (media) => ({
      length: lengthOf(media),
      channels: media.channels,
      interval: media.interval,
      fit: 'length',
    }),
    fit: async (media, { fit, length, channels }) => {
      if (media.channels !== channels)
        throw new ShapeError('E_SERIES_SHAPE', `series: expected ${channels} channels, received ${media.channels}.`);
      if (fit === 'none') return media;
      const values = new Float32Array(length * channels);
      values.set(media.values.subarray(0, values.length));
      return { ...media, values };
    },
    samplesOf: (media) => ({ data: media.values, shape: [lengthOf(media), media.channels] }),
    create: ({ data, shape }, input, info) => ({
      kind: 'series',
      interval: Number(info?.['interval'] ?? input.interval ?? INTERVAL),
      channels: shape.at(-1) ?? 1,
      values: Float32Array.from(data),
    }),
    toFloats: (data, out, offset) => out.set(data, offset),
    fromFloats: (values) => values,
    describe: ({ length, channels, interval }) => `${length} frames of ${channels} channels, every ${interval} s`,
    files: {
      extensions: new Set(['npy']),
      formats: 'NPY',
      sniff: (bytes) => (isNpy(bytes) ? 'npy' : undefined),
      decodedBytes: (bytes) => bytes.length,
      decode: async (bytes, source, input) => {
        const media = seriesOf(bytes, source);
        return { media: input ? await series.fit(media, input) : media, original: series.info(media) };
      },
      extension: 'npy',
      encode: async (media) => npyOf(media),
    },
    figures: [
      {
        name: 'correlation',
        label: 'correlation',
        better: 'higher',
        meaning: 'Correlation is the mean over series of the correlation of originals and reconstructions.',
      },
    ],
    meter: () => {
      let [sum, count] = [0, 0];
      return {
        add: (originals, reconstructions, [batch = 0]) => {
          const size = originals.length / batch;
          for (let start = 0; start < originals.length; start += size, count++)
            sum += correlation(originals.subarray(start, start + size), reconstructions.subarray(start, start + size));
        },
        result: () => ({ correlation: sum / count }),
      };
    },
    rate: { name: 'bitsPerSecond', label: 'bits per second', count: ({ length, interval }) => length * interval },
    show: async (samples, options) => ({ svg: drawing(samples, options) }),
    module: import.meta.url,
  };
  return series;
}

function correlation(a, b) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  a.forEach((value, i) => {
    const [x, y] = [value - meanA, b[i] - meanB];
    [ab, aa, bb] = [ab + x * y, aa + x * x, bb + y * y];
  });
  return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : 0;
}

/** Small line charts in rows, one line for each channel. */
function drawing(samples, { columns = Math.ceil(Math.sqrt(samples.length)), labels = [] } = {}) {
  const [width, height] = [160, 80];
  const panels = samples.map((sample, i) => {
    const [left, top] = [(i % columns) * width, Math.floor(i / columns) * height];
    const lines = Array.from({ length: sample.channels }, (_, c) => {
      const points = Array.from({ length: lengthOf(sample) }, (_, t) => {
        const y = height / 2 - (sample.values[t * sample.channels + c] * height) / 3;
        return `${((t * (width - 8)) / lengthOf(sample)).toFixed(1)},${y.toFixed(1)}`;
      });
      return `<polyline points="${points.join(' ')}" fill="none" stroke="${['#0868ac', '#d1590a'][c % 2]}"/>`;
    });
    const label = (labels[i] ?? '').replace(/[<&]/g, ' ');
    return `<g transform="translate(${left} ${top})">${lines.join('')}<text y="${height - 4}" font-size="9">${label}</text></g>`;
  });
  const rows = Math.ceil(samples.length / columns);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width * columns} ${height * rows}" width="${width * columns}" height="${height * rows}">${panels.join('')}</svg>`;
}

/** A VQ-VAE of series: one code for every four frames. @param {typeof import('../../src/index.js')} tesserae */
function seriesCodec({ nn }) {
  const { chain, conv, convTranspose, pointwise, residualStack, tf, z } = nn;
  const relu = pointwise((x) => tf.relu(x));
  const style = { activation: 'relu', norm: 'none', axes: 1 };
  const partsOf = ({ channels, hidden, quantizer: config }) => {
    const quantizer = new nn.Quantizer(config);
    const encoder = chain({
      down1: conv(4, channels, hidden, { stride: 2, axes: 1 }),
      activation: relu,
      down2: conv(4, hidden, hidden, { stride: 2, axes: 1 }),
      blocks: residualStack(1, hidden, hidden, style),
      output: conv(1, hidden, quantizer.width, { axes: 1 }),
    });
    const decoder = chain({
      input: conv(3, quantizer.width, hidden, { axes: 1 }),
      blocks: residualStack(1, hidden, hidden, style),
      up1: convTranspose(4, 2, hidden, hidden, { axes: 1 }),
      activation: relu,
      up2: convTranspose(4, 2, hidden, channels, { axes: 1, gain: 0.1 }),
    });
    return { quantizer, encoder: chain({ encoder }), decoder: chain({ decoder }) };
  };
  const schema = z.strictObject({
    length: z.int().min(4).multipleOf(4).default(32),
    channels: z.int().min(1).default(2),
    interval: z.number().positive().default(INTERVAL),
    fit: z.enum(['length', 'none']).default('length'),
    hidden: z.int().min(1).default(16),
    quantizer: nn.QuantizerConfigSchema.prefault({ codebookSize: 32, codeDim: 4 }),
  });
  return {
    name: 'series-vq',
    medium: 'series',
    parseConfig: (json) => nn.parseConfig('series-vq', schema, json),
    input: ({ length, channels, interval, fit }) => ({ length, channels, interval, fit }),
    maps: (c, [length] = [c.length]) => [partsOf(c).quantizer.map('codes', [length / 4])],
    trainable: (c) => {
      const { quantizer, encoder, decoder } = partsOf(c);
      return { ...encoder.params, ...quantizer.trainable(), ...decoder.params };
    },
    state: (c) => partsOf(c).quantizer.state(),
    initialize: (p, inputs, key, c) => {
      const { quantizer, encoder } = partsOf(c);
      quantizer.initialize(p, encoder.apply(p, inputs), key);
    },
    loss: (p, { inputs, dataVariance, ...moment }, c) => {
      const { quantizer, encoder, decoder } = partsOf(c);
      const quantized = quantizer.train(p, encoder.apply(p, inputs), moment);
      const reconstruction = decoder.apply(p, quantized.codes);
      const nmse = nn.normalizedError(reconstruction, inputs, dataVariance);
      return { loss: tf.add(nmse, quantized.loss), nmse, reconstruction };
    },
    encode: (p, inputs, c) => {
      const { quantizer, encoder } = partsOf(c);
      return [quantizer.encode(p, encoder.apply(p, inputs))];
    },
    decode: (p, [ids], c) => {
      const { quantizer, decoder } = partsOf(c);
      return decoder.apply(p, quantizer.decode(p, ids));
    },
    anyExtent: {
      multiple: () => [4],
      reach: (c) => {
        const { encoder, decoder } = partsOf(c);
        const [forward, backward] = [
          nn.reachOf(encoder.sees, 0, { outputs: 1, inputs: 4 }),
          nn.reachOf(decoder.sees, 0, { outputs: 4, inputs: 1 }),
        ];
        return [Math.max(forward.before, forward.after, 4 * backward.before, 4 * backward.after)];
      },
    },
  };
}

/** Registers the medium and the codec. @param {typeof import('../../src/index.js')} tesserae */
export default function register(tesserae) {
  tesserae.registerMedium(seriesMedium(tesserae));
  tesserae.registerCodec(seriesCodec(tesserae));
}
