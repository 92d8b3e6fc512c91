// Asks examples/server.mjs for pictures: one after another, then 100 at once.
//
//   npm run build && node test/bench/server.mjs [PRIOR]
//
// Prints the milliseconds of an answer, of 100 answers together, and the longest time for which the server's event loop was
// blocked meanwhile.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const PROMPT = 'a small red circle above a large blue square';

/** Starts the server. `blocked` gives the longest delay of its event loop since the last time it was asked, in milliseconds. */
export async function startServer(prior = path('../../fixtures/models/shapes')) {
  const preload = new URL('../support/event-loop.mjs', import.meta.url).href;
  const child = spawn(process.execPath, ['--import', preload, path('../../examples/server.mjs'), prior, '0'], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const [line] = await once(child.stdout, 'data');
  const port = /port: (\d+)/.exec(String(line))?.[1];
  if (port === undefined) throw new Error(`expected the server's port, received ${line}`);
  return {
    url: (query) => `http://localhost:${port}/?${new URLSearchParams({ prompt: PROMPT, ...query })}`,
    async blocked() {
      child.send('delay');
      return (await once(child, 'message'))[0];
    },
    async stop() {
      child.kill();
      await once(child, 'exit');
    },
  };
}

/** Asks for a picture. */
export async function ask(url) {
  const response = await fetch(url);
  return { status: response.status, bytes: Buffer.from(await response.arrayBuffer()) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await startServer(process.argv[2]);
  try {
    await server.blocked();
    const timed = async (work) => {
      const start = performance.now();
      await work();
      return Math.round(performance.now() - start);
    };
    const alone = [];
    for (let seed = 0; seed < 11; seed++) alone.push(await timed(() => ask(server.url({ seed }))));
    const together = await timed(() =>
      Promise.all(Array.from({ length: 100 }, (_, seed) => ask(server.url({ seed })))),
    );
    console.log(
      JSON.stringify({
        processor: cpus()[0]?.model,
        node: process.version,
        firstMs: alone[0],
        medianMs: alone.slice(1).sort((a, b) => a - b)[5],
        hundredMs: together,
        blockedMs: Math.round(await server.blocked()),
      }),
    );
  } finally {
    await server.stop();
  }
}
