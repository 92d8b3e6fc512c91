// Opens stored codecs through the registry.
import type { ModelCard, StoredModel } from '../checkpoint/card.js';
import type { NamedTensors } from '../checkpoint/tensors.js';
import { Codec } from '../codec/codec.js';
import type { OpenOptions } from '../codec/codec.js';
import { CorruptError, UsageError } from '../errors.js';
import { shortFingerprint } from '../fingerprint.js';
import { specOf } from '../interfaces/index.js';
import type { Media, TokenMapSpec, Tokenizer } from '../interfaces/index.js';
import { differences } from '../json.js';
import type { MediumCore } from '../media/medium.js';
import { mediumNamed } from '../media/registry.js';
import type { CodecFamily } from '../model/codec.js';
import { importParams } from '../model/params.js';
import type { Params } from '../model/params.js';
import { codecFamily } from '../registry.js';
import { opened } from './opened.js';

/** A codec with the card of its model directory. */
export interface LoadedCodec<M extends Media = Media, I = unknown>
  extends Tokenizer<M>, Disposable, Pick<Codec, 'encodeFitted'> {
  readonly card: ModelCard;
  /** What the codec sees, in the medium's terms. `encode` brings all samples to this. */
  readonly input: I;
}

/** How a codec is loaded. */
export interface LoadOptions<M extends Media = Media, I = unknown> extends OpenOptions {
  /** The medium that is expected. It gives the types of the codec's samples. */
  medium?: MediumCore<M, I>;
}

/** The family of a stored codec, and its parsed config. */
export function codecOf({ card }: Pick<StoredModel, 'card'>): { family: CodecFamily; config: unknown } {
  const family = codecFamily(card.name);
  const config = family.parseConfig(card.config);
  expectOwnMaps(card, family.maps(config));
  return { family, config };
}

/** @throws {CorruptError} E_MODEL_CARD unless the maps of a card are those of its config. */
export function expectOwnMaps({ kind, fingerprint, maps = [] }: ModelCard, own: readonly TokenMapSpec[]): void {
  if (maps.length === 0 && own.length > 0) return; // Cards of others need not have them.
  const [different] = differences(own.map(specOf), maps.map(specOf));
  if (different !== undefined)
    throw new CorruptError(
      'E_MODEL_CARD',
      `${kind} ${shortFingerprint(fingerprint)}: expected the maps that its config gives, ${different.before}, not ${different.now}, which the card says. Copy the model again.`,
    );
}

/**
 * The stored weights and state of a codec as variables, which the caller disposes.
 *
 * @throws {CorruptError} E_MODEL_TENSORS naming `where`.
 */
export function codecParams(
  where: string,
  { family, config }: { family: CodecFamily; config: unknown },
  tensors: NamedTensors,
): Params {
  return importParams(where, { ...family.trainable(config), ...family.state(config) }, tensors);
}

/**
 * Opens a codec from its card and weights.
 *
 * @throws {UsageError} E_DATA_MEDIUM for a codec of another medium than the options ask for.
 */
export function openCodec<M extends Media = Media, I = unknown>(
  stored: StoredModel,
  { medium, ...options }: LoadOptions<M, I> = {},
): LoadedCodec<M, I> {
  const { card, tensors } = stored;
  const { family, config } = codecOf(stored);
  expectMediumName(card.name, family.medium, medium);
  const codec = new Codec({
    family,
    config,
    medium: mediumNamed(family.medium),
    params: codecParams(card.name, { family, config }, tensors),
    fingerprint: card.fingerprint,
    ...options,
  });
  return opened(Object.assign(codec, { card, input: family.input(config) }) as LoadedCodec<M, I>, stored);
}

/** A loaded codec, whose medium is checked. @throws {UsageError} E_DATA_MEDIUM for a codec of another medium. */
export function expectMedium<M extends Media, I>(
  codec: LoadedCodec,
  medium: MediumCore<M, I> | undefined,
): LoadedCodec<M, I> {
  expectMediumName(codec.name, codec.kind, medium);
  return codec as LoadedCodec<M, I>;
}

function expectMediumName(codec: string, kind: string, medium: { name: string } | undefined): void {
  if (medium && kind !== medium.name)
    throw new UsageError(
      'E_DATA_MEDIUM',
      `codec ${codec}: expected a codec of the medium "${medium.name}", received one of "${kind}".`,
    );
}
