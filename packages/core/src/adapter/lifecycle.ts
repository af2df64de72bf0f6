import { ClosedError } from '../errors.ts';

/**
 * The open and close rules every broker shares: opening twice gives the same result, a failed opening may be tried
 * again, closing during an opening ends closed, closing twice is fine, and calls outside of that are `ClosedError`s.
 */
export class Lifecycle<T> {
  readonly #adapter: string;
  readonly #onOpen: () => Promise<T>;
  readonly #onClose: () => Promise<void>;
  #opening: Promise<T> | undefined;
  #closing: Promise<void> | undefined;
  #opened: { readonly value: T } | undefined;

  constructor(adapter: string, onOpen: () => Promise<T>, onClose: () => Promise<void>) {
    this.#adapter = adapter;
    this.#onOpen = onOpen;
    this.#onClose = onClose;
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  open(): Promise<T> {
    if (this.#closing !== undefined) return Promise.reject(this.#refusal('open', 'closed'));
    this.#opening ??= this.#onOpen().then(
      (value) => {
        if (this.#closing !== undefined) throw this.#refusal('open', 'closed');
        this.#opened = { value };
        return value;
      },
      (error: unknown) => {
        this.#opening = undefined;
        throw error;
      },
    );
    return this.#opening;
  }

  /** What `open` resolved to. @throws ClosedError with reason `not-open` or `closed` */
  require(op: string): T {
    if (this.#closing !== undefined) throw this.#refusal(op, 'closed');
    if (this.#opened === undefined) throw this.#refusal(op, 'not-open');
    return this.#opened.value;
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      // An opening in progress owns half-made connections; let it end before they are released.
      await this.#opening?.catch(() => {});
      await this.#onClose();
    })();
    return this.#closing;
  }

  #refusal(op: string, reason: 'not-open' | 'closed'): ClosedError {
    const message = reason === 'closed' ? `${op}: this broker is closed` : `${op}: call open() first`;
    return new ClosedError(message, { op, adapter: this.#adapter, reason });
  }
}
