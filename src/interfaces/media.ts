// Decoded media: plain data, no tensors, no file handles.

/**
 * A decoded image.
 *
 * `pixels` is uint8 [height, width, channels], row-major, sRGB, already upright and without alpha. Codecs see it as
 * float32 in [-1, 1]: `value / 127.5 - 1`.
 */
export interface Image {
  kind: 'image';
  width: number;
  height: number;
  /** 1 grey, 3 RGB. */
  channels: 1 | 3;
  pixels: Uint8Array;
}

/** The images that a codec sees. */
export interface ImageInput {
  /** Size of the images, in pixels; with `resize: 'none'`, of the crops it is trained and evaluated on. */
  height: number;
  width: number;
  channels: 1 | 3;
  /** sRGB, 0..255: what shows through transparent pixels, and the padding of `contain`. */
  background: [number, number, number];
  /**
   * What becomes of an image of another size: its overhang is cut off, it is padded with the background, or stretched;
   * or, with `none`, it keeps its size. Then its last pixels are repeated to the right and below, up to a multiple of the
   * codec's downsampling; tokens keep the true size, and decoding cuts back to it.
   */
  resize: 'cover' | 'contain' | 'fill' | 'none';
}

/** Decoded sound: float32 [samples, channels] in [-1, 1] at `sampleRate` Hz. */
export interface Audio {
  kind: 'audio';
  sampleRate: number;
  channels: number;
  samples: Float32Array;
}

/** A decoded sample of any medium: `kind` is the name the medium is registered under. */
export interface Media {
  kind: string;
}

/**
 * What is known of a sample without its content, such as its size before any resizing by a codec: the name of its medium
 * and the fields that the medium defines. Plain data that shards, cards and tokens carry.
 */
export type MediaInfo = { kind: string } & Record<string, string | number>;

/** The {@link MediaInfo} of an image, in pixels. */
export type ImageInfo = { kind: 'image'; width: number; height: number; channels: number };
