/** A log method as pino has it: fields first, then a message; or a message alone. */
export interface LogMethod {
  (fields: Readonly<Record<string, unknown>>, message: string): void;
  (message: string): void;
}

/** The logger Millrace talks to. Any pino-like logger fits as it is. */
export interface Logger {
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
}

const silence: LogMethod = () => {};

/** Drops everything. The default of clients. */
export const silentLogger: Logger = { debug: silence, info: silence, warn: silence, error: silence };

function write(level: 'warn' | 'error'): LogMethod {
  return (first: Readonly<Record<string, unknown>> | string, message?: string) => {
    const fields = typeof first === 'string' ? '' : ` ${safeJson(first)}`;
    process.stderr.write(`millrace ${level}: ${message ?? String(first)}${fields}\n`);
  };
}

function safeJson(fields: Readonly<Record<string, unknown>>): string {
  try {
    return JSON.stringify(fields, replaceError);
  } catch {
    // Circular, a bigint, a getter that throws: the message matters more than its fields.
    return `{${Object.keys(fields).join(', ')}}`;
  }
}

function replaceError(_key: string, value: unknown): unknown {
  return value instanceof Error ? { name: value.name, message: value.message } : value;
}

/** Warnings and errors to standard error, one line each. The default of workers, so that failures are never silent. */
export const stderrLogger: Logger = { debug: silence, info: silence, warn: write('warn'), error: write('error') };

/** A logger whose own failures stay its own: it is called where an exception would stop a worker or the process. */
export function guardLogger(logger: Logger): Logger {
  const guarded =
    (level: keyof Logger): LogMethod =>
    (first: Readonly<Record<string, unknown>> | string, message?: string) => {
      try {
        if (typeof first === 'string') logger[level](first);
        else logger[level](first, message ?? '');
      } catch {
        // Nowhere left to say it.
      }
    };
  return { debug: guarded('debug'), info: guarded('info'), warn: guarded('warn'), error: guarded('error') };
}
