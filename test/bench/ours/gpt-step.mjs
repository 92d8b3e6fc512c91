import { gptStep, stepContestant } from './steps.mjs';

export const contestant = () => stepContestant(gptStep());
