import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { saveModel } from '../../src/checkpoint/model.js';
import { loadCodec, primeCodes } from '../../src/index.js';
import { Stages } from '../../src/prior/stages.js';
import { codecFamily, priorFamily } from '../../src/registry.js';
import { noise } from '../media/image/fixtures.js';
import { freshTensors, temporaryDirectory, TINY_CODEC, TINY_PRIOR } from '../support/tiny.js';

/** A model directory of a fresh prior over codes [4, 6] that carries its codec. */
async function priorOver(json: Record<string, unknown>): Promise<string> {
  const directory = temporaryDirectory();
  const family = codecFamily('vqvae');
  const config = family.parseConfig({ ...TINY_CODEC, ...json });
  saveModel(
    join(directory, 'codec'),
    { kind: 'codec', name: 'vqvae', config: config as Record<string, unknown>, maps: family.maps(config) },
    freshTensors({ ...family.trainable(config), ...family.state(config) }, 3),
  );
  const { fingerprint } = await loadCodec(join(directory, 'codec'));
  const prior = priorFamily('gpt');
  const priorConfig = prior.parseConfig({ ...TINY_PRIOR, codes: { grid: [4, 6], levels: 1, vocabSize: 16 } });
  saveModel(
    directory,
    { kind: 'prior', name: 'gpt', config: priorConfig as Record<string, unknown>, codec: { fingerprint } },
    freshTensors(Stages.of(prior, priorConfig).params),
  );
  return directory;
}

describe('primeCodes', () => {
  it.each([
    ['of one size', { width: 12 }],
    ['of any size', { resize: 'none' }],
  ])('takes the top rows of a picture at the size of the prior’s, by a codec %s', async (_, json) => {
    const prior = await priorOver(json);
    const codec = await loadCodec(prior);
    const exact = noise(12, 8, 1);
    const { ids, grid } = (await codec.encode(exact)).maps[0]!;
    codec.dispose();
    expect(grid).toEqual([4, 6]);
    expect([...(await primeCodes({ prior, sample: exact }))]).toEqual([...ids.subarray(0, 12)]);
    expect([...(await primeCodes({ prior, sample: exact, rows: 3 }))]).toEqual([...ids.subarray(0, 18)]);
    expect(await primeCodes({ prior, sample: noise(50, 31, 3) })).toHaveLength(12);
  });

  it('refuses rows there are not, and a codec the prior was not trained for', async () => {
    const prior = await priorOver({ width: 12 });
    for (const rows of [0, 4, 1.5])
      await expect(primeCodes({ prior, sample: noise(12, 8, 1), rows })).rejects.toMatchObject({
        code: 'E_PRIME',
        exitCode: 2,
      });
    await expect(
      primeCodes({ prior, codec: await priorOver({ resize: 'none' }), sample: noise(12, 8, 1) }),
    ).rejects.toMatchObject({ code: 'E_CODEC_MISMATCH' });
  });
});
