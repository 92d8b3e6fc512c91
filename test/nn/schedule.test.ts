import { expect, it } from 'vitest';
import { cosineSchedule } from '../../src/nn/schedule.js';

const CONFIG = { learningRate: 2, warmupSteps: 10, finalFraction: 0.1 };
const at = (step: number): number => cosineSchedule(step, 110, CONFIG);

it('grows linearly to its peak', () => {
  expect(at(1)).toBeCloseTo(0.2);
  expect(at(5)).toBeCloseTo(1);
  expect(at(10)).toBeCloseTo(2);
});

it('falls along half a cosine to the final fraction', () => {
  expect(at(60)).toBeCloseTo(1.1);
  expect(at(110)).toBeCloseTo(0.2);
  expect(at(500)).toBeCloseTo(0.2);
});

it('works without warm-up', () => {
  expect(cosineSchedule(1, 1, { ...CONFIG, warmupSteps: 0 })).toBeCloseTo(0.2);
});
