// Answers GET /?prompt=a+red+bird with a PNG. The model is loaded once; further calls take milliseconds.
//
//   node examples/server.mjs PRIOR [PORT]
import { createServer } from 'node:http';
import { encodePng, generate, imageMedium, loadPrior, UsageError } from 'tesserae';

const [directory, port = '8080'] = process.argv.slice(2);
if (!directory) throw new Error('usage: server.mjs PRIOR [PORT]');

const prior = await loadPrior(directory);
await generate({ prior, prompts: [null] }); // compiles the network before the first request

const server = createServer(async (request, response) => {
  const query = new URL(request.url ?? '/', 'http://localhost').searchParams;
  const closed = new AbortController();
  response.on('close', () => closed.abort()); // a visitor who leaves costs nothing further
  try {
    const { media } = await generate({
      prior,
      prompts: [query.get('prompt')],
      sampling: { seed: Number(query.get('seed') ?? 0), temperature: 0.9 },
      medium: imageMedium,
      signal: closed.signal,
    });
    for (const image of media) response.writeHead(200, { 'content-type': 'image/png' }).end(await encodePng(image));
  } catch (error) {
    const status = error instanceof UsageError ? 400 : 500; // 400: a prompt or a seed that makes no sense
    response.writeHead(status, { 'content-type': 'text/plain' }).end(`${error}\n`);
  }
});
server.listen(Number(port), () => console.log('listening on', server.address()));
