// A codec at work, for every family and medium: batches, fitting or tiles, tokens in and out.
import { compile, hostValues, tf } from '../engine/index.js';
import { InputError, UsageError } from '../errors.js';
import { expectCodec } from '../fingerprint.js';
import { checkTokens, codeCount, idsShape, specOf, toIds } from '../interfaces/index.js';
import type { Media, MediaInfo, TokenMapSpec, Tokenizer, Tokens } from '../interfaces/index.js';
import { itemShapeOf } from '../media/item-shape.js';
import type { AnyCore } from '../media/medium.js';
import { copyBlock, emptyLike, expectFinite, pieceOf } from '../media/samples.js';
import type { SampleArray, Samples } from '../media/samples.js';
import type { AnyExtent, CodecFamily } from '../model/codec.js';
import { disposeParams } from '../model/params.js';
import type { Params } from '../model/params.js';
import { sameShape, sizeOf } from '../shape.js';
import { batches, encodeFitted, MAX_ROWS } from './encode.js';
import type { Fitted } from './encode.js';
import { cutOf, innerBlock, tileLength, tilesOf, windowBlock } from './tiles.js';
import type { Cut, Tile } from './tiles.js';

/** How a codec is opened. */
export interface OpenOptions {
  /** Length of the tiles that larger samples are cut into, along each axis. Default: 256 for images. */
  tile?: number;
}

export interface CodecParts<C = unknown> extends OpenOptions {
  family: CodecFamily<C>;
  config: C;
  medium: AnyCore;
  /** Owned by the codec from here on. They are final: its graphs embed them. */
  params: Params;
  fingerprint: string;
}

/** Maximum number of positions of a sample for codecs that cannot work in tiles. */
const ONE_PASS = 1024 * 1024;

type Extent = readonly number[];

/** A tile of one of several samples. */
interface Job {
  item: number;
  tile: Tile;
}

/** Tiles of one extent that are computed together. */
interface JobBatch {
  extent: Extent;
  rows: number;
  jobs: Job[];
}

/** A trained codec that encodes and decodes samples of its medium. */
export class Codec<C = unknown> implements Tokenizer {
  readonly kind: string;
  readonly name: string;
  readonly fingerprint: string;
  private readonly medium: AnyCore;
  private readonly input: unknown;
  /** Shape [...axes, channels] of a sample in a batch. */
  private readonly itemShape: readonly number[];
  private readonly ownMaps: TokenMapSpec[];
  private readonly params: Params;
  private readonly encoder;
  private readonly decoder;

  /** @throws {ShapeError} E_ITEM_SHAPE. @throws {UsageError} E_CONFIG if samples are to keep their extent and the codec takes one only. */
  constructor(private readonly parts: CodecParts<C>) {
    const { family, config, medium, params, fingerprint } = parts;
    this.kind = medium.name;
    this.name = family.name;
    this.fingerprint = fingerprint;
    this.medium = medium;
    this.params = params;
    this.input = family.input(config);
    this.itemShape = itemShapeOf(medium, this.input);
    this.ownMaps = family.maps(config);
    if (medium.keepsExtent(this.input) && !family.anyExtent)
      throw new UsageError(
        'E_CONFIG',
        `${this.name}: expected ${medium.noun.many} to be brought to one size (resize cover, contain or fill), received a config in which they keep theirs (none). This codec takes one size only.`,
      );
    this.encoder = compile((inputs: tf.Tensor) => family.encode(params, inputs, config), {
      name: `${this.name}_encode`,
      freeze: true,
    });
    this.decoder = compile((ids: tf.Tensor[]) => family.decode(params, ids, config), {
      name: `${this.name}_decode`,
      freeze: true,
    });
  }

  maps(media?: MediaInfo): TokenMapSpec[] {
    const { anyExtent } = this;
    if (!media || !anyExtent) return this.ownMaps.map(specOf);
    return this.mapsOf(this.padded(this.medium.extentOf('maps(media)', media)));
  }

  encode(media: Media): Promise<Tokens>;
  encode(media: readonly Media[]): Promise<Tokens[]>;
  async encode(media: Media | readonly Media[]): Promise<Tokens | Tokens[]> {
    this.refuseWithoutCodes('encode');
    const isOne = !Array.isArray(media);
    const items = (isOne ? [media] : media) as Media[];
    items.forEach((item, i) => this.medium.check(isOne ? 'encode' : `encode[${i}]`, item));
    items.forEach((item, i) => expectFinite(isOne ? 'encode' : `encode[${i}]`, this.medium.samplesOf(item)));
    const fitted = await Promise.all(
      items.map(async (item) => ({ media: await this.medium.fit(item, this.input), original: this.medium.info(item) })),
    );
    const tokens = await this.encodeFitted(fitted);
    return isOne ? tokens[0]! : tokens;
  }

  /** Encodes samples that were brought to the codec's input when they were decoded. */
  encodeFitted(fitted: readonly Fitted[]): Promise<Tokens[]> {
    if (this.anyExtent) return this.encodeTiles(fitted);
    const { fingerprint, itemShape, ownMaps: maps } = this;
    return encodeFitted({ fingerprint, itemShape, maps }, this.medium, fitted, (values, rows) =>
      this.runEncoder(values, [rows, ...itemShape]),
    );
  }

  decode(tokens: Tokens): Promise<Media>;
  decode(tokens: readonly Tokens[]): Promise<Media[]>;
  async decode(tokens: Tokens | readonly Tokens[]): Promise<Media | Media[]> {
    this.refuseWithoutCodes('decode');
    if (Array.isArray(tokens)) return this.decodeAll(tokens as readonly Tokens[]);
    return (await this.decodeAll([tokens as Tokens]))[0]!;
  }

  dispose(): void {
    void this.encoder.dispose();
    void this.decoder.dispose();
    disposeParams(this.params);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  private refuseWithoutCodes(what: string): void {
    if (this.ownMaps.length === 0)
      throw new UsageError(
        'E_NO_CODES',
        `${what}(${this.name}): expected a codec with codes, received one with continuous latents. Use its latent space or its exported encoder and decoder, or train a codec with codes, such as vqvae or dvae.`,
      );
  }

  /** How samples of any extent are handled, unless all are brought to one. */
  private get anyExtent(): AnyExtent<C> | undefined {
    return this.medium.keepsExtent(this.input) ? this.parts.family.anyExtent : undefined;
  }

  private get channels(): number {
    return this.itemShape.at(-1)!;
  }

  private mapsOf(extent: Extent): TokenMapSpec[] {
    return this.parts.family.maps(this.parts.config, extent);
  }

  private async runEncoder(values: Float32Array, shape: number[]): Promise<Int32Array[]> {
    const batch = tf.tensor(values, shape);
    const ids = await this.encoder(batch);
    batch.dispose();
    return ids.map((map) => take(map) as Int32Array);
  }

  /** @returns the values of each row. */
  private async runDecoder(maps: { ids: Int32Array; shape: number[] }[]): Promise<Samples[]> {
    const inputs = maps.map(({ ids, shape }) => tf.tensor(ids, shape, 'int32'));
    const decoded = await this.decoder(inputs);
    tf.dispose(inputs);
    const [rows = 0, ...shape] = decoded.shape;
    const size = sizeOf(shape);
    const data = this.medium.fromFloats(take(decoded) as Float32Array);
    return Array.from({ length: rows }, (_, row) => ({ data: data.slice(row * size, (row + 1) * size), shape }));
  }

  /** Encodes samples at their own extents, tile by tile: memory grows with the tile, not with the sample. */
  private async encodeTiles(fitted: readonly Fitted[]): Promise<Tokens[]> {
    const samples = fitted.map(({ media }) => this.medium.samplesOf(media));
    const extents = samples.map(({ shape }) => this.padded(shape.slice(0, -1)));
    const ids = extents.map((extent) =>
      this.mapsOf(extent).map((map) => ({ map, values: new Int32Array(codeCount(map)) })),
    );
    for (const { extent, rows, jobs } of this.jobs(extents)) {
      const size = sizeOf(extent) * this.channels;
      const values = new Float32Array(rows * size);
      jobs.forEach(({ item, tile }, row) => {
        const start = tile.map((span) => span.start);
        this.medium.toFloats(pieceOf(samples[item]!, start, extent).data, values, row * size);
      });
      const encoded = await this.runEncoder(values, [rows, ...extent, this.channels]);
      this.mapsOf(extent).forEach((map, m) => {
        jobs.forEach(({ item, tile }, row) => {
          const { map: whole, values: target } = ids[item]![m]!;
          const part = encoded[m]!.subarray(row * codeCount(map), (row + 1) * codeCount(map));
          copyBlock(samplesOf(part, map), samplesOf(target, whole), innerBlock(tile, cellOf(extent, map)));
        });
      });
    }
    return fitted.map(({ original }, i) => ({
      codec: this.fingerprint,
      media: original,
      maps: ids[i]!.map(({ map, values }) => ({ ...specOf(map), ids: toIds(values, map.vocabSize) })),
    }));
  }

  private async decodeAll(tokens: readonly Tokens[]): Promise<Media[]> {
    const extents = tokens.map((one, i) => this.check(one, `decode[${i}]`));
    if (this.anyExtent) return this.decodeTiles(tokens, extents);
    const decoded: Media[] = [];
    for (const [start, rows] of batches(tokens.length)) {
      const batch = tokens.slice(start, start + rows);
      const maps = this.ownMaps.map((map, i) => {
        const ids = new Int32Array(rows * codeCount(map));
        batch.forEach((one, row) => ids.set(one.maps[i]!.ids, row * codeCount(map)));
        return { ids, shape: [rows, ...idsShape(map)] };
      });
      const samples = await this.runDecoder(maps);
      decoded.push(...batch.map(({ media }, row) => this.medium.create(samples[row]!, this.input, media)));
    }
    return decoded;
  }

  private async decodeTiles(tokens: readonly Tokens[], extents: readonly Extent[]): Promise<Media[]> {
    const wholes: Samples[] = [];
    for (const { extent, rows, jobs } of this.jobs(extents)) {
      const maps = this.mapsOf(extent).map((map, m) => {
        const ids = new Int32Array(rows * codeCount(map));
        jobs.forEach(({ item, tile }, row) => {
          const whole = tokens[item]!.maps[m]!;
          const part = ids.subarray(row * codeCount(map), (row + 1) * codeCount(map));
          copyBlock(samplesOf(whole.ids, whole), samplesOf(part, map), windowBlock(tile, cellOf(extent, map)));
        });
        return { ids, shape: [rows, ...idsShape(map)] };
      });
      const decoded = await this.runDecoder(maps);
      jobs.forEach(({ item, tile }, row) => {
        const part = decoded[row]!;
        const whole = (wholes[item] ??= this.blank(part.data, this.trueExtent(tokens[item]!.media, extents[item]!)));
        copyBlock(
          part,
          whole,
          innerBlock(
            tile,
            tile.map(() => 1),
            whole.shape,
          ),
        );
      });
    }
    return wholes.map((samples, i) => this.medium.create(samples, this.input, tokens[i]!.media));
  }

  private blank(like: SampleArray, extent: Extent): Samples {
    const shape = [...extent, this.channels];
    return { data: emptyLike(like, sizeOf(shape)), shape };
  }

  /** Batches of tiles of one extent. */
  private *jobs(extents: readonly Extent[]): Generator<JobBatch> {
    const byExtent = new Map<string, Job[]>();
    extents.forEach((extent, item) => {
      for (const tile of tilesOf(extent, this.cuts(extent))) {
        const key = tile.map(({ length }) => length).join('x');
        byExtent.set(key, [...(byExtent.get(key) ?? []), { item, tile }]);
      }
    });
    for (const jobs of byExtent.values()) {
      const extent = jobs[0]!.tile.map(({ length }) => length);
      const together = tileLength(extent.length) ** extent.length / sizeOf(extent);
      const most = Math.max(1, Math.min(MAX_ROWS, 2 ** Math.floor(Math.log2(together))));
      for (const [start, rows] of batches(jobs.length, most))
        yield { extent, rows, jobs: jobs.slice(start, start + rows) };
    }
  }

  /** @throws {InputError} E_MEDIA_TOO_LARGE for a large sample and a codec that sees samples as a whole. */
  private cuts(extent: Extent): Cut[] {
    const { config, tile = tileLength(extent.length) } = this.parts;
    const cells = this.anyExtent!.multiple(config);
    const reach = this.anyExtent!.reach(config);
    if (reach) return extent.map((_, axis) => cutOf(tile, reach[axis]!, cells[axis]!));
    if (sizeOf(extent) <= ONE_PASS) return extent.map((length) => ({ length, reach: 0 }));
    throw new InputError(
      'E_MEDIA_TOO_LARGE',
      `${this.name}: expected ${this.medium.noun.many} of at most ${ONE_PASS} positions, received ${extent.join(' x ')}. Attention and group norm see a ${this.medium.noun.one} as a whole: it cannot be cut into tiles. Shrink it first.`,
    );
  }

  /** The extent of a sample after padding to whole cells. */
  private padded(extent: Extent): number[] {
    const cells = this.anyExtent!.multiple(this.parts.config);
    return extent.map((length, axis) => Math.ceil(length / cells[axis]!) * cells[axis]!);
  }

  /** The extent of a decoded sample: that of its media, unless the codes are of another size. */
  private trueExtent(media: MediaInfo, padded: Extent): Extent {
    const extent = this.medium.extentOf('media', media);
    return sameShape(this.padded(extent), padded) ? extent : padded;
  }

  /** @returns the padded extent of the sample that the tokens are of. */
  private check(tokens: Tokens, where: string): Extent {
    if (typeof tokens?.codec !== 'string' || !Array.isArray(tokens.maps)) checkTokens(where, tokens, []);
    expectCodec(where, {
      expected: this.fingerprint,
      received: tokens.codec,
      remedy: 'Decode with the codec that made the tokens.',
    });
    const extent = this.extentOf(tokens);
    checkTokens(where, tokens, this.anyExtent ? this.mapsOf(extent) : this.ownMaps);
    this.medium.extentOf(`${where}.media`, tokens.media);
    return extent;
  }

  /** The extent that the first map is for. */
  private extentOf({ maps: [first] }: Tokens): number[] {
    const own = this.itemShape.slice(0, -1);
    const { anyExtent } = this;
    if (!anyExtent || !Array.isArray(first?.grid) || first.grid.length !== own.length) return own;
    const cells = anyExtent.multiple(this.parts.config);
    const codes = this.mapsOf(cells)[0]!.grid;
    return first.grid.map((count, axis) => (Math.max(1, count) * cells[axis]!) / codes[axis]!);
  }
}

/** The ids of a map as values [...grid, levels]. */
function samplesOf<T extends SampleArray>(data: T, { grid, levels }: TokenMapSpec): Samples<T> {
  return { data, shape: [...grid, levels] };
}

/** Positions of one code of a map, by axis. */
const cellOf = (extent: Extent, { grid }: TokenMapSpec): number[] => extent.map((length, axis) => length / grid[axis]!);

/** The values of a tensor, which is disposed. */
function take(tensor: tf.Tensor): Float32Array | Int32Array | Uint8Array {
  const values = hostValues(tensor);
  tensor.dispose();
  return values;
}
