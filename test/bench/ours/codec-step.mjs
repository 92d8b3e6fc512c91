import { codecOf, codecStep } from './codec.mjs';
import { stepContestant } from './steps.mjs';

export const contestant = ({ threads, preset }) => stepContestant(codecStep(codecOf(preset)), threads);
