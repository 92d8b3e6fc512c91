import { stepContestant, vqvaeStep } from './steps.mjs';

export const contestant = () => stepContestant(vqvaeStep());
