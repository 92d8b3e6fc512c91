import type { RgbaImage } from '../../src/browser.js';
import type { SamplingOptions } from '../../src/index.js';

export const PROMPTS: string[];
export const SAMPLING: SamplingOptions;
export function drawing(): RgbaImage;
