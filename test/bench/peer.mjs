// A contestant that is another program, driven over the line protocol of peers/protocol.py.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const PEERS = join(import.meta.dirname, 'peers');

/**
 * @typedef {object} Contestant
 * @property {string} name
 * @property {number} work   how many units one block does
 * @property {string} unit   `step`, `tokens`, `images`
 * @property {Record<string, unknown>} [details]  versions and the like, for the report
 * @property {(blocks: number) => Promise<number[]>} run  milliseconds of each block
 * @property {() => void | Promise<void>} close
 */

/** The Python of the peers' environment: `TESSERAE_BENCH_PYTHON`, else `.venv/bin/python` of the checkout. */
export function peerPython() {
  const python = process.env.TESSERAE_BENCH_PYTHON ?? join(import.meta.dirname, '../../.venv/bin/python');
  if (!existsSync(python))
    throw new Error(`peers: expected a Python at ${python}. See test/bench/README.md, or set TESSERAE_BENCH_PYTHON.`);
  return python;
}

/**
 * Starts a peer and waits until it has warmed up.
 *
 * @param {string} script file name in `peers/`
 * @param {string[]} args
 * @returns {Promise<Contestant>}
 */
export async function startPeer(script, args = []) {
  const child = spawn(peerPython(), [join(PEERS, script), ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  // A peer in the middle of a block does not see that its driver has gone.
  process.once('exit', () => child.kill());
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (complaints = (complaints + text).slice(-4000)));
  child.stdin.on('error', () => {}); // a dead peer is reported by the answer that does not come
  const failed = new Promise((_, reject) => child.once('error', reject));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await Promise.race([lines.next(), failed]);
    if (done) throw new Error(`${script} ${args.join(' ')}: ended without an answer.\n${complaints}`);
    const record = JSON.parse(value);
    if (record.error) throw new Error(`${script}: ${record.error}`);
    return record;
  };
  const { ready, work, unit, ...details } = await answer();
  return {
    name: ready,
    work,
    unit,
    details,
    run: async (blocks) => {
      child.stdin.write(`run ${blocks}\n`);
      return (await answer()).ms;
    },
    close: () => {
      child.stdin.end('quit\n');
    },
  };
}
