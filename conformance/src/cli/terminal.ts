/** Where a command writes, so that tests can read it. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
}

/** What was asked of a command makes no sense; the message says what does. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}
