// A comparison of codecs as one HTML file: figures, rate against distortion, pictures, codebooks.
import { encodePng } from '../media/image/image.js';
import { imageGrid } from '../media/image/grid.js';
import { frechetBias } from '../metrics/frechet.js';
import { codebookTable } from '../report/codebook.js';
import { formatNumber } from '../report/format.js';
import { chartFigure, htmlReport, imageFigure, paragraph, table } from '../report/html.js';
import type { Cell, Fragment, ReportSection } from '../report/html.js';
import { scatterChart } from '../report/scatter-chart.js';
import type { CodecComparison, ComparedCodec } from './compare.js';

/** Name and value of a column of the table of codecs; null where a codec has no such figure. */
export type Column = [name: string, value: (codec: ComparedCodec) => Cell];

/** The columns that at least one codec has a figure for. */
export function comparisonColumns(codecs: readonly ComparedCodec[]): Column[] {
  const measures = [...new Set(codecs.flatMap((codec) => Object.keys(codec.measures)))];
  const all: Column[] = [
    ['codec', ({ name }) => name],
    ['family', ({ family }) => family],
    ['pictures', ({ input }) => `${input.width} × ${input.height} × ${input.channels}`],
    ['bits/pixel', ({ bitsPerPixel }) => bitsPerPixel ?? null],
    ['by entropy', ({ empiricalBitsPerPixel }) => empiricalBitsPerPixel ?? null],
    ['NMSE', ({ nmse }) => nmse],
    ['PSNR, dB', ({ psnr }) => psnr],
    ['SSIM', ({ ssim }) => ssim],
    ['sharpness', ({ sharpness }) => sharpness],
    ['usage', ({ maps }) => usageCell(maps)],
    ['rFID', ({ rfid }) => rfid ?? null],
    ...measures.map((name): Column => [name, (codec) => codec.measures[name] ?? null]),
    ['encoded/s', ({ encodedPicturesPerSecond }) => encodedPicturesPerSecond],
  ];
  return all.filter(([, value]) => codecs.some((codec) => value(codec) !== null));
}

function usageCell(maps: ComparedCodec['maps']): Cell {
  if (maps.length <= 1) return maps[0]?.usage ?? null;
  return maps.map(({ name, usage }) => `${name} ${formatNumber(usage)}`).join(', ');
}

/** @returns the text of one HTML file, which needs no other. */
export async function comparisonReport(comparison: CodecComparison): Promise<string> {
  const { codecs, data, split } = comparison;
  const columns = comparisonColumns(codecs);
  const rows = codecs.map((codec) => columns.map(([, value]) => value(codec)));
  const sections: ReportSection[] = [
    {
      title: 'Figures',
      intro: 'Each codec is measured at its own size of pictures, to which error and bits a pixel refer.',
      body: [
        table(
          columns.map(([name]) => name),
          rows,
        ),
        ...notes(codecs),
      ],
    },
    ...rateDistortion(codecs),
    {
      title: 'Pictures',
      intro: `The same pictures of the ${split} split, at the size of the largest codec.`,
      body: await pictureRows(comparison),
    },
    ...(codecs.some(({ maps }) => maps.length > 0) ? [{ title: 'Codebooks', body: [codebookTable(codecs)] }] : []),
    {
      title: 'Models',
      body: [
        table(
          ['codec', 'path', 'fingerprint'],
          codecs.map(({ name, path, fingerprint }) => [name, path, fingerprint.slice(0, 12)]),
        ),
      ],
    },
  ];
  return htmlReport({
    title: `${codecs.length} codecs compared`,
    subtitle: `${data}, ${split === 'all' ? 'both splits' : `${split} split`}, ${codecs[0]!.samples} pictures`,
    summary: bests(codecs),
    sections,
  });
}

/** Who is first in what. */
function bests(codecs: readonly ComparedCodec[]): [string, Cell][] {
  const best = (name: string, value: (codec: ComparedCodec) => number | undefined, sign: 1 | -1): [string, Cell][] => {
    const measured = codecs.filter((codec) => value(codec) !== undefined);
    if (measured.length === 0) return [];
    const first = measured.reduce((a, b) => (sign * value(b)! > sign * value(a)! ? b : a));
    return [[name, `${formatNumber(value(first)!)}, ${first.name}`]];
  };
  return [
    ...best('best PSNR, dB', ({ psnr }) => psnr, 1),
    ...best('best NMSE', ({ nmse }) => nmse, -1),
    ...best('best rFID', ({ rfid }) => rfid, -1),
    ...best('fewest bits/pixel by entropy', ({ empiricalBitsPerPixel }) => empiricalBitsPerPixel, -1),
    ...best('most encoded/s', ({ encodedPicturesPerSecond }) => encodedPicturesPerSecond, 1),
  ];
}

function notes(codecs: readonly ComparedCodec[]): Fragment[] {
  const { features, samples } = codecs[0]!;
  const bias = features && frechetBias(samples, features.dimension);
  return [
    paragraph(
      'Bits a pixel: log2 K for every code, and by the entropy of the codes over the split. PSNR and SSIM are means over pictures; NMSE is the squared error over the variance of the split, sharpness the mean difference of neighboring values over that of the originals. Encoded/s: pictures in memory, in batches, on the machine that wrote this.',
    ),
    ...(features
      ? [
          paragraph(
            `rFID: Frechet distance between originals and reconstructions in the ${features.dimension} features "${features.output}" of ${features.network} (sha256 ${features.sha256.slice(0, 12)}, pixels ${features.scaling}).${bias === undefined ? '' : ` ${bias}`}`,
          ),
        ]
      : []),
  ];
}

/** Bits a pixel: by the entropy of the codes, or without codes by the divergence of the latents from their prior. */
function rateOf({ empiricalBitsPerPixel, measures, input: { width, height } }: ComparedCodec): number | undefined {
  return empiricalBitsPerPixel ?? (measures.klBits === undefined ? undefined : measures.klBits / (width * height));
}

function rateDistortion(codecs: readonly ComparedCodec[]): ReportSection[] {
  const points = codecs.flatMap((codec) =>
    rateOf(codec) === undefined ? [] : [{ name: codec.name, x: rateOf(codec)!, y: codec.psnr }],
  );
  if (points.length === 0) return [];
  const remark = (text: string, wanted: (codec: ComparedCodec) => boolean): Fragment[] => {
    const names = codecs.filter(wanted).map(({ name }) => name);
    return names.length > 0 ? [paragraph(`${text}: ${names.join(', ')}.`)] : [];
  };
  const body = [
    chartFigure(scatterChart(points, { xLabel: 'bits a pixel, by the entropy of the codes', yLabel: 'PSNR, dB' })),
    ...remark(
      'Without codes, at what their latents carry by the evidence bound, which no file of them reaches',
      (codec) => codec.empiricalBitsPerPixel === undefined && rateOf(codec) !== undefined,
    ),
    ...remark('Without a rate', (codec) => rateOf(codec) === undefined),
  ];
  return [{ title: 'Rate and distortion', intro: 'Further up and to the left is better.', body }];
}

/** One figure a row, all of one size, so that pictures stand below their originals. */
async function pictureRows({ pictures, codecs }: CodecComparison): Promise<Fragment[]> {
  return Promise.all(
    pictures.map(async ({ name, images }, i) => {
      const codec = codecs[i - 1];
      const rate =
        codec?.empiricalBitsPerPixel === undefined ? '' : `, ${formatNumber(codec.empiricalBitsPerPixel)} bits a pixel`;
      const sheet = imageGrid(images, {
        columns: images.length,
        scale: Math.max(1, Math.round(96 / images[0]!.width)),
      });
      return imageFigure(await encodePng(sheet), codec ? `${name}: PSNR ${formatNumber(codec.psnr)} dB${rate}` : name);
    }),
  );
}
