/** A contestant's `run`: milliseconds of each of `blocks` calls. */
export const timed = (once) => async (blocks) => {
  const times = [];
  for (let i = 0; i < blocks; i++) {
    const start = performance.now();
    await once();
    times.push(performance.now() - start);
  }
  return times;
};
