import { generationContestant } from './generation.mjs';

export const contestant = ({ threads }) => generationContestant(1, threads);
