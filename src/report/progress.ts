// Shows the progress of long tasks: one line redrawn in place on a terminal, occasional plain lines elsewhere.
import { printable } from '../errors.js';
import { formatCount, formatDuration, formatNumber } from './format.js';

export interface ProgressOptions {
  /** Name of the task: `train codec`. */
  label: string;
  /** Total number of units; omit it if unknown. */
  total?: number;
  /** Name of the unit, in the plural: `steps`. */
  unit: string;
  /**
   * Units done before this run, e.g. steps restored from a checkpoint. They are displayed but do not count toward the
   * rate. Default 0.
   */
  initial?: number;
  /** Default `process.stderr`. */
  stream?: ProgressStream;
  /** Whether to redraw in place. Default: whether the stream is a terminal. */
  isTTY?: boolean;
  /** Monotonic clock in milliseconds. Default `performance.now`. */
  now?: () => number;
  /** Seconds between plain lines if the stream is not a terminal. Default 10. */
  intervalSeconds?: number;
}

export interface ProgressStream {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

/** Ten redraws per second look continuous and are cheap. */
const REDRAW_MS = 100;
/** The rate covers about the last ten seconds, so that it follows changes in speed without flickering. */
const RATE_WINDOW_MS = 10_000;
const BAR_WIDTH = 24;
const ERASE_LINE = '\r\u001b[2K';

/**
 * Shows how much work is done, its rate, the remaining time, and values such as the loss.
 *
 * {@link Progress.update} may be called as often as needed: it draws at most ten times a second on a terminal and every
 * `intervalSeconds` elsewhere.
 */
export class Progress {
  private readonly stream: ProgressStream;
  private readonly isTTY: boolean;
  private readonly now: () => number;
  private readonly started: number;
  private readonly intervalMs: number;
  /** Recent (time, units done) pairs, oldest first, from which the rate is computed. */
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

  /**
   * Updates the progress.
   *
   * @param done Total number of units done.
   * @param values Values displayed after the rate, in order. They remain until replaced.
   */
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

  /** Prints a line, above the progress line if that is redrawn in place. */
  note(text: string): void {
    if (this.isTTY && this.isDrawn) this.stream.write(ERASE_LINE);
    this.stream.write(`${text}\n`);
    if (this.isTTY && this.isDrawn && !this.isFinished) this.draw(this.line(this.now()));
  }

  /** Prints the last line, with the total time. Later calls have no effect. */
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

  /** The parts of a line, of which those in the middle are left out on a narrow terminal, and its end is kept. */
  private joined(start: string, middle: readonly string[], end: string | undefined): string {
    const line = (parts: readonly string[]): string => [start, ...parts, end].filter(isText).join('  ');
    const parts = [...middle];
    while (this.isTTY && parts.length > 0 && Array.from(line(parts)).length > this.room) parts.pop();
    return line(parts);
  }

  /** Characters of a line. A longer one would wrap and could not be erased. */
  private get room(): number {
    return (this.stream.columns || 80) - 1;
  }

  /** Truncates a line to the terminal's width. */
  private fitted(text: string): string {
    const letters = Array.from(text);
    return printable(letters.length <= this.room ? text : `${letters.slice(0, Math.max(0, this.room - 1)).join('')}…`);
  }

  private remember(at: number): void {
    this.recent.push({ at, done: this.done });
    while (this.recent.length > 2 && at - this.recent[1]!.at >= RATE_WINDOW_MS) this.recent.shift();
  }

  /** Returns the recent rate in units per second; undefined if nothing has been measured yet. */
  private rate(at: number): number | undefined {
    const { at: from, done } = this.recent[0]!;
    return at > from && this.done > done ? (1000 * (this.done - done)) / (at - from) : undefined;
  }

  private line(at: number): string {
    const { label, total } = this.options;
    const rate = this.rate(at);
    const left =
      total !== undefined && rate !== undefined ? `${formatDuration((total - this.done) / rate)} left` : undefined;
    const middle = [this.rateText(rate), ...this.valueTexts()].filter(isText);
    const start = (bar?: string): string => [label, bar, this.count()].filter(isText).join('  ');
    if (!this.isTTY || total === undefined) return this.joined(start(), middle, left);
    // The bar goes before the time left does.
    const full = this.joined(start(barOf(this.done / total)), middle, left);
    return Array.from(full).length <= this.room ? full : this.joined(start(), middle, left);
  }

  private lastLine(at: number): string {
    const seconds = (at - this.started) / 1000;
    const worked = this.done - (this.options.initial ?? 0);
    const rate = seconds > 0 && worked > 0 ? worked / seconds : undefined;
    return this.joined(
      [this.options.label, this.count()].join('  '),
      [this.rateText(rate), ...this.valueTexts()].filter(isText),
      `in ${formatDuration(seconds)}`,
    );
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
