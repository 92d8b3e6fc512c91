// The markers of a JPEG, and corrections that do not change a pixel. Source: ITU-T T.81, annex B.

export interface JpegLayout {
  /** Whether it has an end marker. */
  complete: boolean;
  width: number;
  height: number;
  /** Number of passes of a decoder over the image. */
  scans: number;
  /** Scans hold whole coefficients rather than a part of their bits or frequencies. */
  sequential: boolean;
  /** Of each scan, the byte at which its range of frequencies and bits stands. */
  ranges: number[];
  /** Stretches of bytes between two segments that belong to neither. */
  strays: { from: number; to: number }[];
  /** Where scans end: their next marker, with its code. */
  ends: { at: number; marker: number }[];
}

const [SOS, EOI] = [0xda, 0xd9];

/** Walks the markers up to the end marker. */
export function walkJpeg(bytes: Uint8Array): JpegLayout {
  const layout: JpegLayout = {
    complete: false,
    width: 0,
    height: 0,
    scans: 0,
    sequential: false,
    ranges: [],
    strays: [],
    ends: [],
  };
  let inScan = false;
  for (let at = 2; at + 1 < bytes.length;) {
    const marker = bytes[at + 1]!;
    if (bytes[at] !== 0xff) {
      const found = bytes.indexOf(0xff, at);
      const next = found < 0 ? bytes.length : found;
      if (!inScan) layout.strays.push({ from: at, to: next });
      at = next;
    } else if (isBare(marker)) {
      at += marker === 0xff ? 1 : 2;
    } else {
      if (inScan) layout.ends.push({ at, marker });
      if (marker === EOI) return { ...layout, complete: true };
      if (at + 3 >= bytes.length) break;
      noteSegment(bytes, at, marker, layout);
      inScan = marker === SOS;
      at += 2 + word(bytes, at + 2);
    }
  }
  return layout;
}

function noteSegment(bytes: Uint8Array, at: number, marker: number, layout: JpegLayout): void {
  // SOF0 to SOF15, but for DHT, JPG and DAC among them.
  if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker) && layout.height === 0) {
    layout.sequential = [0xc0, 0xc1, 0xc9].includes(marker);
    layout.height = word(bytes, at + 5);
    layout.width = word(bytes, at + 7);
  }
  if (marker !== SOS) return;
  layout.scans++;
  layout.ranges.push(at + 5 + 2 * (bytes[at + 4] ?? 0));
}

/** Stuffed zero, fill byte, TEM, RST0-7 and SOI: markers that no segment follows. */
function isBare(marker: number): boolean {
  return marker === 0x00 || marker === 0xff || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
}

const word = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);

/**
 * Corrects mistakes of some cameras that libjpeg reports like lost data: bytes between two segments, and a range of frequencies in
 * an image whose scans all contain all frequencies.
 */
export function tidyJpeg(bytes: Uint8Array, { sequential, ranges, strays }: JpegLayout): Uint8Array {
  const wrong = sequential ? ranges.filter((at) => bytes[at] !== 0 || bytes[at + 1] !== 63 || bytes[at + 2] !== 0) : [];
  if (wrong.length === 0 && strays.length === 0) return bytes;
  const tidy = Uint8Array.from(bytes);
  for (const at of wrong) tidy.set([0, 63, 0], at);
  return without(tidy, strays);
}

/**
 * More bytes than this after a scan are no padding: data in the middle of it may be damaged so that the rest decodes to fewer
 * blocks than it should.
 */
const MOST_PADDING = 4;

/**
 * Ways to drop the bytes that libjpeg found after the last block of a scan, by its warning; the right one, if there is any,
 * decodes without a warning.
 */
export function withoutPadding(bytes: Uint8Array, { ends, width, height }: JpegLayout, warning: string): Uint8Array[] {
  const [, count = '', code = ''] = /(\d+) extraneous bytes before marker 0x([0-9a-f]{2})/.exec(warning) ?? [];
  if (count === '' || Number(count) > MOST_PADDING) return [];
  const places = ends
    .filter(({ marker }) => marker === Number.parseInt(code, 16))
    .slice(0, width * height > 2 ** 24 ? 1 : 4);
  return places.map(({ at }) => without(bytes, [{ from: beforeStuffed(bytes, at, Number(count)), to: at }]));
}

/** `count` bytes before `end`, where ff 00 stands for one. */
function beforeStuffed(bytes: Uint8Array, end: number, count: number): number {
  let at = end;
  for (let left = count; left > 0 && at > 2; left--) at -= bytes[at - 1] === 0 && bytes[at - 2] === 0xff ? 2 : 1;
  return at;
}

function without(bytes: Uint8Array, stretches: readonly { from: number; to: number }[]): Uint8Array {
  const kept: Uint8Array[] = [];
  let at = 0;
  for (const { from, to } of stretches) {
    kept.push(bytes.subarray(at, from));
    at = to;
  }
  return Buffer.concat([...kept, bytes.subarray(at)]);
}
