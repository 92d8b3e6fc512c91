import { generationContestant } from './generation.mjs';

export const contestant = () => generationContestant(1);
