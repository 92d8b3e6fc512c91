import type { RgbaImage } from '../../src/browser.js';
import type { Image, Prior, SamplingOptions, Tokenizer } from '../../src/index.js';

/** Ids of each map, and pixels, of the picture that was encoded and of those that were generated. */
export interface Performed {
  ids: number[][][];
  pictures: number[][];
}

export const PROMPTS: string[];
export const SAMPLING: SamplingOptions;
export function drawing(): RgbaImage;
export function perform(codec: Tokenizer, prior: Prior, picture: Image): Promise<Performed>;
