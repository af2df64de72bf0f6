import type { WriteStream } from 'node:tty';
import { type Logger, type LogMethod, silentLogger } from '@millrace/core';
import { type Progress, percentOf, progressText } from './progress.ts';

/** Shows how far the run is, and lines of text between. */
export interface ProgressDisplay {
  /** How often it is worth to be told of progress. */
  readonly intervalMs: number;
  update(progress: Progress): void;
  say(line: string): void;
  /** For the worker: its warnings as lines of text, which a bar would overwrite otherwise. */
  readonly logger: Logger;
  /** Leaves the last state standing. */
  end(): void;
}

/** A live bar on a terminal; elsewhere plain lines, few of them. */
export function createProgressDisplay(stream: WriteStream, environment: Readonly<NodeJS.ProcessEnv>): ProgressDisplay {
  return stream.isTTY === true && environment.TERM !== 'dumb' ? createBar(stream) : createLines(stream);
}

function loggerOf(say: (line: string) => void): Logger {
  const warn: LogMethod = (first: Readonly<Record<string, unknown>> | string, message?: string) => {
    const cause = typeof first === 'string' ? undefined : first.error;
    say(`Note: ${message ?? first}${cause instanceof Error ? ` (${cause.message})` : ''}`);
  };
  return { ...silentLogger, warn, error: warn };
}

const barWidth = 24;
const clearLine = '\r\u001B[K';

function createBar(stream: WriteStream): ProgressDisplay {
  const started = performance.now();
  let line = '';
  const say = (text: string): void => {
    stream.write(`${line === '' ? '' : clearLine}${text}\n${line}`);
  };
  return {
    intervalMs: 100,
    say,
    logger: loggerOf(say),
    update(progress) {
      const filled = progress.walked ? Math.round((percentOf(progress) / 100) * barWidth) : 0;
      const bar = `[${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)}]`;
      // A line that wraps cannot be taken back.
      line = `${bar} ${progressText(progress, performance.now() - started)}`.slice(0, (stream.columns || 80) - 1);
      stream.write(`${clearLine}${line}`);
    },
    end() {
      if (line !== '') stream.write('\n');
      line = '';
    },
  };
}

const stepPercent = 5;
/** Between two lines, and between two looks. */
export const longestSilenceMs = 5_000;

function createLines(stream: WriteStream): ProgressDisplay {
  const started = performance.now();
  let shownAt = started;
  let shown = '';
  // Before the first step, so that the number of files is shown as soon as it is known.
  let step = -1;
  const say = (text: string): void => {
    stream.write(`${text}\n`);
  };
  return {
    intervalMs: 250,
    say,
    logger: loggerOf(say),
    update(progress) {
      const now = performance.now();
      const nextStep = progress.walked ? Math.floor(percentOf(progress) / stepPercent) : -1;
      if (nextStep <= step && now - shownAt < longestSilenceMs) return;
      const text = progressText(progress, now - started);
      if (text === shown) return;
      say(text);
      shown = text;
      shownAt = now;
      step = Math.max(step, nextStep);
    },
    end() {},
  };
}
