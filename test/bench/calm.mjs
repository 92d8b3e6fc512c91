// How much of the machine others are using. A peer whose threads meet at barriers suffers more from a busy core than
// its share, so a comparison on a busy machine says nothing: turns are taken in calm and repeated when it was broken.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const TICKS_PER_SECOND = 100; // USER_HZ, the same on every Linux we run on

/** Busy seconds of all cores since boot, steal included: what the host takes is not ours either. */
function machineSeconds() {
  const [, user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'utf8')
    .split('\n')[0]
    .split(/\s+/)
    .map(Number);
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND;
}

/** Processor seconds of this process and all its descendants, ended children included. */
function ownSeconds() {
  const seconds = new Map();
  const parents = new Map();
  for (const pid of readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .map(Number);
      parents.set(pid, fields[1]);
      seconds.set(pid, (fields[11] + fields[12] + fields[13] + fields[14]) / TICKS_PER_SECOND);
    } catch {
      // It ended while we were looking.
    }
  }
  const isOurs = (pid) =>
    pid === process.pid || (parents.has(pid) && parents.get(pid) !== 0 && isOurs(parents.get(pid)));
  return [...seconds].reduce((sum, [pid, own]) => (isOurs(pid) ? sum + own : sum), 0);
}

/** Starts watching; the returned function gives the mean number of cores others used since. NaN where /proc is missing. */
export function watchOthers() {
  try {
    const [machine, own, start] = [machineSeconds(), ownSeconds(), performance.now()];
    return () =>
      Math.max(0, (machineSeconds() - machine - (ownSeconds() - own)) / ((performance.now() - start) / 1000));
  } catch {
    return () => NaN;
  }
}

/** Waits until others use less than `limit` cores, or `patienceSeconds` have passed. */
export async function untilCalm(limit, patienceSeconds) {
  const end = performance.now() + patienceSeconds * 1000;
  do {
    const others = watchOthers();
    // Also lets the threads of the contestant before stop spinning.
    await sleep(400);
    if (!(others() > limit)) return;
  } while (performance.now() < end);
}
