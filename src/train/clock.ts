// `run.json` of a run: when it began and ended, and how long it trained, over all its sessions. Only people read it: a resumed
// run takes other times than an uninterrupted one, and gives the same model.
import { join } from 'node:path';
import { nodeFiles } from '../files/system.js';
import { readJson } from '../files/read.js';
import { writeFileAtomic } from '../files/commit.js';
import { formatJson, isRecord } from '../json.js';

/** Name of the record in the directory of a run. */
export const RUN_RECORD = 'run.json';

/** When a run took place. Times are ISO 8601 in UTC. */
export interface RunRecord {
  /** Absent, like the seconds, for a run whose first sessions were not recorded. */
  started?: string;
  /** Absent as long as the run is not finished. */
  finished?: string;
  /** Seconds of training and evaluation, without those after the last checkpoint of an interrupted session. */
  seconds?: number;
}

/** Keeps the record of a run. */
export class RunClock {
  private readonly path: string;
  private readonly since = performance.now();
  private readonly before: RunRecord;

  /** @param resumed whether the run goes on from a checkpoint; otherwise an older record is dropped. */
  constructor(out: string, resumed: boolean) {
    this.path = join(out, RUN_RECORD);
    this.before = resumed ? storedRecord(this.path) : { started: now(), seconds: 0 };
  }

  /** Writes how long the run took so far. */
  save(): void {
    this.write(this.progress);
  }

  /** Writes that the run is finished. @param worked false if it was finished before. */
  finish(worked: boolean): RunRecord {
    if (!worked && this.before.finished !== undefined) return this.before;
    const record = { ...this.progress, finished: now() };
    this.write(record);
    return record;
  }

  private get progress(): RunRecord {
    const { started, seconds } = this.before;
    if (started === undefined || seconds === undefined) return {};
    return { started, seconds: Number((seconds + (performance.now() - this.since) / 1000).toFixed(1)) };
  }

  private write(record: RunRecord): void {
    writeFileAtomic(this.path, `${formatJson(record)}\n`);
  }
}

const now = (): string => `${new Date().toISOString().slice(0, 19)}Z`;

/** The record of an earlier session; empty if it is missing or damaged, which costs no more than the times. */
function storedRecord(path: string): RunRecord {
  if (!nodeFiles.status(path)) return {};
  try {
    const value = readJson(path);
    if (!isRecord(value)) return {};
    const { started, finished, seconds } = value;
    return {
      ...(isMoment(started) && typeof seconds === 'number' && { started, seconds }),
      ...(isMoment(finished) && { finished }),
    };
  } catch {
    return {};
  }
}

const isMoment = (value: unknown): value is string => typeof value === 'string' && !Number.isNaN(Date.parse(value));
