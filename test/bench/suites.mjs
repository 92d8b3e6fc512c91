// What is compared: the peers of each suite, the first being the reference. Our side of a suite is
// `ours/<suite>.mjs`, exporting `contestant({ threads, preset }): Promise<Contestant>`; a suite without one runs its peers alone.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { startPeer } from './peer.mjs';

const DATA = process.env.TESSERAE_DATA ?? join(import.meta.dirname, '../../../shared/data');

const generation = (batch) => ({
  title: `GPT generation with a cache, batch ${batch}: 26 M parameters, prompt 64, 256 new tokens, top-k 100`,
  blocks: 1,
  peers: {
    'hugging-face': ['gpt_generate.py', ['--batch', `${batch}`]],
    static: ['gpt_generate.py', ['--engine', 'static', '--batch', `${batch}`]],
    'static-bf16': ['gpt_generate.py', ['--engine', 'static', '--bf16', '--batch', `${batch}`]],
  },
});

/** Suites of any codec preset; a turn takes about a second. */
const ofPreset = (program) => ({
  ofPreset: true,
  peers: {
    eager: [program, []],
    compiled: [program, ['--compile']],
    bf16: [program, ['--bf16']],
  },
});

export const SUITES = {
  'codec-step': {
    title: 'Train step of a codec preset: its batch, its optimizer, its adversary; no perceptual term',
    ...ofPreset('codec_step.py'),
  },
  'codec-encode': {
    title: 'Encoding with a codec preset: batches of 16 pictures in memory to ids',
    ...ofPreset('codec_encode.py'),
  },
  'gpt-step': {
    title: 'GPT train step: 4 layers, d=256, 8 heads, T=256, batch 8, vocabulary 1024, AdamW, clip 1',
    blocks: 4,
    peers: {
      eager: ['gpt_step.py', []],
      compiled: ['gpt_step.py', ['--compile']],
      bf16: ['gpt_step.py', ['--bf16']],
    },
  },
  'generate-1': generation(1),
  'generate-16': generation(16),
  tokenize: {
    title: 'Tokenizing the Noto emoji tar: 64x64, hidden 128, K=512 D=64, 256 codes a picture',
    blocks: 1,
    peers: Object.fromEntries(
      [1, 2, 0].map((workers) => [
        `workers-${workers}`,
        ['tokenize_images.py', ['--data', join(DATA, 'emoji/noto-emoji-72.tar'), '--workers', `${workers}`]],
      ]),
    ),
  },
};

/** Float32 as written runs by default; reduced precision only when asked for by name. */
const isOptional = (name) => name.endsWith('bf16');

/** Starts the contestants of a suite: peers (all in float32, or those named), then our side where it is written. */
export async function startSuite(suite, { only, threads, preset, log }) {
  const { peers, ofPreset } = SUITES[suite];
  const common = ['--threads', `${threads}`, ...(ofPreset ? ['--preset', preset] : [])];
  const names = Object.keys(peers).filter((name) => (only ? only.includes(name) : !isOptional(name)));
  const contestants = [];
  for (const name of names) {
    log(`starting ${name}`);
    const [program, args] = peers[name];
    contestants.push(await startPeer(program, [...args, ...common]));
  }
  const ours = join(import.meta.dirname, 'ours', `${suite}.mjs`);
  if (existsSync(ours) && (!only || only.includes('ours'))) {
    log('starting ours');
    contestants.push(await (await import(pathToFileURL(ours).href)).contestant({ threads, preset }));
  }
  return contestants;
}
