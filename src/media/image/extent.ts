// Reads the size of an image from its header, which is cheap for every file.
import { pngSize } from './complete.js';
import { imageFormat } from './sniff.js';

export interface Extent {
  width: number;
  height: number;
}

/** Width and height in the header of a PNG, JPEG or WebP, without checks; `undefined` if the bytes do not say. */
export function announcedExtent(bytes: Uint8Array): Extent | undefined {
  switch (imageFormat(bytes)) {
    case 'png':
      return bytes.length >= 24 ? pngSize(bytes) : undefined;
    case 'jpeg':
      return jpegExtent(bytes);
    case 'webp':
      return webpExtent(bytes);
    default:
      return undefined;
  }
}

/** From the frame header, SOF0 to SOF15. Source: ITU-T T.81, annex B. */
function jpegExtent(bytes: Uint8Array): Extent | undefined {
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff;) {
    const marker = bytes[at + 1]!;
    if (marker === 0xff) at++;
    else if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      return { height: bigEndian16(bytes, at + 5), width: bigEndian16(bytes, at + 7) };
    } else at += 2 + bigEndian16(bytes, at + 2);
  }
  return undefined;
}

function bigEndian16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** From the first chunk. Source: RFC 9649, section 2. */
function webpExtent(bytes: Uint8Array): Extent | undefined {
  if (bytes.length < 30) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (Buffer.from(bytes.subarray(12, 16)).toString('latin1')) {
    case 'VP8X':
      return { width: 1 + (view.getUint32(24, true) & 0xffffff), height: 1 + (view.getUint32(26, true) >>> 8) };
    case 'VP8L': {
      const bits = view.getUint32(21, true);
      return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
    }
    case 'VP8 ':
      return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
    default:
      return undefined;
  }
}
