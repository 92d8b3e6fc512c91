// The progress of long work: one line redrawn in place on a terminal, a plain line now and then elsewhere.
import { printable } from '../errors.js';
import { formatCount, formatDuration, formatNumber } from './format.js';

export interface ProgressOptions {
  /** What is going on: `train codec`. */
  label: string;
  /** Units until done; leave it out when it is not known. */
  total?: number;
  /** What is counted, in the plural: `steps`. */
  unit: string;
  /** Units done before this run, e.g. steps restored from a checkpoint: shown, but no part of the rate. Default 0. */
  initial?: number;
  /** Default `process.stderr`. */
  stream?: ProgressStream;
  /** Redraw in place; default: whether the stream is a terminal. */
  isTTY?: boolean;
  /** Milliseconds of a steady clock. Default `performance.now`. */
  now?: () => number;
  /** Seconds between plain lines where it is not a terminal. Default 10. */
  intervalSeconds?: number;
}

export interface ProgressStream {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

/** Ten redraws a second look continuous and cost nothing. */
const REDRAW_MS = 100;
/** The rate is that of about the last ten seconds, so that it follows a change of speed without flickering. */
const RATE_WINDOW_MS = 10_000;
const BAR_WIDTH = 24;
const ERASE_LINE = '\r\u001b[2K';

/**
 * Shows how far work has come, how fast it goes, how long it will take, and values of interest such as the loss.
 *
 * Call {@link Progress.update} as often as you like: it draws at most ten times a second on a terminal, and every
 * `intervalSeconds` elsewhere.
 */
export class Progress {
  private readonly stream: ProgressStream;
  private readonly isTTY: boolean;
  private readonly now: () => number;
  private readonly started: number;
  private readonly intervalMs: number;
  /** Recent (time, units done), oldest first: what the rate is measured over. */
  private readonly recent: { at: number; done: number }[] = [];
  private values: Record<string, number | string> = {};
  private done: number;
  private drawnAt: number;
  private isDrawn = false;
  private isFinished = false;

  constructor(private readonly options: ProgressOptions) {
    this.stream = options.stream ?? process.stderr;
    this.isTTY = options.isTTY ?? this.stream.isTTY ?? false;
    this.now = options.now ?? (() => performance.now());
    this.intervalMs = this.isTTY ? REDRAW_MS : 1000 * (options.intervalSeconds ?? 10);
    this.done = options.initial ?? 0;
    this.started = this.now();
    this.drawnAt = this.isTTY ? -Infinity : this.started;
    this.recent.push({ at: this.started, done: this.done });
  }

  /** @param done units done in all. @param values shown after the rate, in order; they stay until replaced. */
  update(done: number, values: Record<string, number | string> = {}): void {
    if (this.isFinished) return;
    this.done = done;
    this.values = { ...this.values, ...values };
    const at = this.now();
    if (at - this.drawnAt < this.intervalMs) return;
    this.remember(at);
    this.drawnAt = at;
    this.draw(this.line(at));
  }

  /** Prints a line of its own, above the progress line where that is redrawn. */
  note(text: string): void {
    if (this.isTTY && this.isDrawn) this.stream.write(ERASE_LINE);
    this.stream.write(`${text}\n`);
    if (this.isTTY && this.isDrawn && !this.isFinished) this.draw(this.line(this.now()));
  }

  /** Prints the last line, with the time all of it took. Later calls do nothing. */
  finish(): void {
    if (this.isFinished) return;
    this.isFinished = true;
    const text = this.lastLine(this.now());
    this.stream.write(this.isTTY ? `${ERASE_LINE}${this.fitted(text)}\n` : `${printable(text)}\n`);
  }

  private draw(text: string): void {
    this.stream.write(this.isTTY ? `${ERASE_LINE}${this.fitted(text)}` : `${printable(text)}\n`);
    this.isDrawn = true;
  }

  /** A line as wide as the terminal would wrap and could not be erased. */
  private fitted(text: string): string {
    const room = (this.stream.columns || 80) - 1;
    const letters = Array.from(text);
    return printable(letters.length <= room ? text : `${letters.slice(0, Math.max(0, room - 1)).join('')}…`);
  }

  private remember(at: number): void {
    this.recent.push({ at, done: this.done });
    while (this.recent.length > 2 && at - this.recent[1]!.at >= RATE_WINDOW_MS) this.recent.shift();
  }

  /** Units a second of late; undefined before there is anything to measure. */
  private rate(at: number): number | undefined {
    const { at: from, done } = this.recent[0]!;
    return at > from && this.done > done ? (1000 * (this.done - done)) / (at - from) : undefined;
  }

  private line(at: number): string {
    const { label, total } = this.options;
    const rate = this.rate(at);
    const left =
      total !== undefined && rate !== undefined ? `${formatDuration((total - this.done) / rate)} left` : undefined;
    const bar = this.isTTY && total !== undefined ? barOf(this.done / total) : undefined;
    return [[label, bar, this.count()].filter(isText).join('  '), this.rateText(rate), ...this.valueTexts(), left]
      .filter(isText)
      .join('  ');
  }

  private lastLine(at: number): string {
    const seconds = (at - this.started) / 1000;
    const worked = this.done - (this.options.initial ?? 0);
    const rate = seconds > 0 && worked > 0 ? worked / seconds : undefined;
    return [
      this.options.label,
      this.count(),
      this.rateText(rate),
      ...this.valueTexts(),
      `in ${formatDuration(seconds)}`,
    ]
      .filter(isText)
      .join('  ');
  }

  private count(): string {
    const { total, unit } = this.options;
    if (total === undefined) return `${formatCount(this.done)} ${unit}`;
    const percent = Math.floor((100 * this.done) / Math.max(1, total));
    return `${String(percent).padStart(3)}%  ${formatCount(this.done)}/${formatCount(total)} ${unit}`;
  }

  private rateText(rate: number | undefined): string | undefined {
    if (rate === undefined) return undefined;
    return `${rate >= 100 ? formatCount(rate) : rate.toPrecision(3)} ${this.options.unit}/s`;
  }

  private valueTexts(): string[] {
    return Object.entries(this.values).map(
      ([name, value]) => `${name} ${typeof value === 'number' ? formatNumber(value) : value}`,
    );
  }
}

function isText(part: string | undefined): part is string {
  return part !== undefined;
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

function barOf(fraction: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, fraction)) * BAR_WIDTH * 8);
  const whole = Math.floor(eighths / 8);
  return `${'█'.repeat(whole)}${EIGHTHS[eighths % 8]!}`.padEnd(BAR_WIDTH, '░');
}
