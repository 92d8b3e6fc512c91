// The blocks of a GIF. Source: GIF89a specification, sections 12 to 27.

/**
 * Walks the blocks up to the trailer, or to the end of a file that lacks it.
 *
 * @param bytes begins with a GIF's signature.
 * @returns the frames that are there in full, and whether the last block is.
 */
export function walkGif(bytes: Uint8Array): { frames: number; complete: boolean } {
  let frames = 0;
  let at = 13 + colorTable(bytes[10]!);
  while (at < bytes.length) {
    const kind = bytes[at];
    if (kind === TRAILER) return { frames, complete: true };
    if (kind !== IMAGE && kind !== EXTENSION) return { frames, complete: frames > 0 };
    // An image's descriptor, color table and code size; an extension's label.
    const header = kind === IMAGE ? 11 + colorTable(bytes[at + 9] ?? 0) : 2;
    const end = endOfSubBlocks(bytes, at + header);
    if (end === undefined) return { frames, complete: false };
    if (kind === IMAGE) frames++;
    at = end;
  }
  return { frames, complete: at === bytes.length && frames > 0 };
}

const TRAILER = 0x3b;
const IMAGE = 0x2c;
const EXTENSION = 0x21;

/** Bytes of the color table that a field of flags announces. */
function colorTable(flags: number): number {
  return flags & 0x80 ? 3 << ((flags & 7) + 1) : 0;
}

/** Past the empty block that ends a row of data blocks; undefined where the file ends first. */
function endOfSubBlocks(bytes: Uint8Array, from: number): number | undefined {
  let at = from;
  for (let length = bytes[at]; length !== undefined; length = bytes[at]) {
    at += 1 + length;
    if (length === 0) return at;
  }
  return undefined;
}
