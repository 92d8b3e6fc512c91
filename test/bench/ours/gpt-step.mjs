import { gptStep, stepContestant } from './steps.mjs';

export const contestant = ({ threads }) => stepContestant(gptStep(), threads);
