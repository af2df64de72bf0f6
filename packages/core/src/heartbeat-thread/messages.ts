/** What a heartbeat thread is started with. */
export interface ThreadData {
  readonly url: string;
  /** The thread stops beating when the main thread has shown no sign of life for this long. */
  readonly blockedAtMostMs: number;
  /** One number: when the main thread was last seen, as `process.hrtime.bigint()`. */
  readonly seen: BigInt64Array;
}

/** From the main thread. */
export type ToThread =
  | {
      readonly type: 'watch';
      readonly sessionId: string;
      readonly ttlMs: number;
      /** One number, written by the thread: when its last answered beat began, as `process.hrtime.bigint()`; 0: never. */
      readonly beaten: BigInt64Array;
    }
  | { readonly type: 'forget'; readonly sessionId: string }
  | { readonly type: 'close' };

/** From the thread. */
export type FromThread =
  | { readonly type: 'ready' }
  /** It cannot begin. */
  | { readonly type: 'refused'; readonly message: string; readonly code: string | undefined }
  | { readonly type: 'beaten'; readonly sessionId: string }
  /** The broker does not know the session. */
  | { readonly type: 'lost'; readonly sessionId: string }
  | { readonly type: 'failed'; readonly sessionId: string; readonly message: string }
  /** The main thread is stuck for too long: no beats until it is back. */
  | { readonly type: 'stuck'; readonly silentMs: number }
  | { readonly type: 'closed' };
