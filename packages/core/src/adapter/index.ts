/**
 * A kit for authors of adapters: the parts every broker needs and should not write again. Not for users of tasks.
 * @module
 */
export { checkKnownOptions, kindOf } from '../known-options.ts';
export {
  checkClaimIds,
  checkClaimRequest,
  checkInteger,
  checkName,
  checkSessionOptions,
  findTaskError,
  longestNameBytes,
  payloadBytes,
} from './checks.ts';
export { Deadlines, reconnectDelay, sleep, throwIfAborted, withDeadline } from './deadline.ts';
export { type EndLook, EndWatch, type EndWatchSettings } from './end-watch.ts';
export { checkOverdueRequest, type GuardSettings, readGuardOptions } from './guard-options.ts';
export { type Heartbeat, type HeartbeatOptions, startHeartbeat } from './heartbeat.ts';
export { Lifecycle } from './lifecycle.ts';
export { allParts, doneInPart, isRefusal } from './parts.ts';
export { explainTlsError, type TlsWays } from './tls-error.ts';
export { Underway } from './underway.ts';
export { type WakeupListener, Wakeups } from './wakeups.ts';
