// What `inspect` says of each kind of thing.
import type { Conditioning, Dataset, DataSummary, MediaInfo, Split, TokenMapSpec } from '../interfaces/index.js';
import type { MetricsRecord } from '../report/metrics-file.js';
import type { SamplesMade } from './samples-card.js';

interface Common {
  path: string;
}

export interface ModelInspection extends Common {
  kind: 'codec' | 'prior';
  fingerprint: string;
  name: string;
  config: Record<string, unknown>;
  maps: TokenMapSpec[];
  /** Number of scalars in all tensors. */
  parameters: number;
  /** Fingerprint of a prior's codec. */
  codec?: string;
  conditioning?: Conditioning;
  classes?: string[];
  /** Number of steps it was trained for. */
  steps?: number;
  training?: Record<string, unknown>;
  metrics?: Record<string, unknown>;
  /** What was verified, as text. A card of format 1.0 has no hash over itself. */
  health: string;
}

/** A token map with its codebook usage over the whole dataset, if all of it could be read. */
export type MapInspection = TokenMapSpec & {
  used?: number;
  usage?: number;
  entropyRatio?: number;
  perplexity?: number;
};

export interface TokensInspection extends Common {
  kind: 'tokens';
  /** null until the manifest is written. */
  fingerprint: string | null;
  samples?: Record<Split, number>;
  parts: number;
  bytes: number;
  codec?: string;
  source?: string;
  classes?: string[];
  /** Number of distinct captions. */
  captions?: number;
  maps: MapInspection[];
  /** The result of reading every record, hashing every part, and verifying the list of rejects and the copy of the codec. `problem` names file, record and offset of the first damage. */
  health: { ok: boolean; problem?: string };
}

export interface DatasetInspection extends Common {
  kind: 'dataset';
  fingerprint: string;
  format: Dataset['kind'];
  samples: Record<Split, number>;
  captions: { samples: number; distinct: number };
  classes?: { name: string; samples: number }[];
  /** Name of the medium. */
  medium: string;
  /** The first sample that can be decoded; undefined if the first few cannot. */
  first?: { key: string; media: MediaInfo; caption?: string; label?: number };
  /** What was found, used and left out. */
  summary: DataSummary;
}

export interface RunInspection extends Common {
  kind: 'run';
  /** sha256 over the run's settings, seed and data; null until its first checkpoint. */
  fingerprint: string | null;
  /** Name of the family that is trained. */
  model?: string;
  /** Steps so far, and steps in total. */
  step: number;
  steps?: number;
  checkpoints: number[];
  lastMetrics?: MetricsRecord;
  lastEvaluation?: MetricsRecord;
}

export interface ExportInspection extends Common {
  kind: 'export';
  /** Fingerprint of the model it was made from. */
  fingerprint: string;
  model: { kind: 'codec' | 'prior'; name: string };
  functions: { name: string; file: string; inputs: string[]; outputs: string[] }[];
}

export interface SampleInspection extends Common {
  kind: 'sample';
  /** sha256 of the file. */
  fingerprint: string;
  format: string;
  media: MediaInfo;
}

export interface SamplesInspection extends Common {
  kind: 'samples';
  fingerprint: string;
  made: SamplesMade;
}

export interface DemoInspection extends Common {
  kind: 'demo';
  /** sha256 over the result. */
  fingerprint: string;
  prompts: number;
  obeyed: number;
  seconds: Record<string, number>;
}

export interface TokenFileInspection extends Common {
  kind: 'token-file';
  /** sha256 of the file. */
  fingerprint: string;
  samples: number;
  bytes: number;
  /** Fingerprint and family of the codec that made it. */
  codec: string;
  family: string;
  source: string;
  maps: TokenMapSpec[];
  /** The first sample: its key, what it was before it was encoded, and its maps. */
  first: { key: string; media: MediaInfo; maps: TokenMapSpec[] };
}

export type Inspection =
  | TokenFileInspection
  | DemoInspection
  | SamplesInspection
  | ModelInspection
  | TokensInspection
  | DatasetInspection
  | RunInspection
  | ExportInspection
  | SampleInspection;
