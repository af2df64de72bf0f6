/**
 * Millrace: durable background tasks.
 *
 * Words, the same in code, tables, errors and docs. **task**: one unit of work, stored and delivered by a broker.
 * **task definition**: name, schema and policy, declared once. **handler**: the function that runs a task.
 * **queue**: a named line of waiting tasks. **broker**: the backend behind the contract. **adapter**: the package
 * that implements one. **worker**: claims tasks and runs handlers. **session**: a worker process's presence at the
 * broker. **claim**: taking a task to run it; yields a **lease**. **fence**: a per-task number that grows with every
 * claim; a settle with an older one is stale. **attempt**: 1 on the first run. **settle**: ending a lease.
 * **dead task**: failed for good, kept for inspection and rerun.
 *
 * @module
 */
export type {
  Adapter,
  Broker,
  BrokerEnqueueOptions,
  BrokerHealth,
  EnqueueOutcome,
  MaintenanceBudget,
  MaintenanceReport,
  QueueStats,
  QueueStore,
} from './broker/broker.ts';
export type { Capabilities, TaskCapabilities } from './broker/capabilities.ts';
export type { Guard, GuardOptions, OverdueRequest, OverdueTask } from './broker/guard.ts';
export type { ScheduleRecord, ScheduleStore } from './broker/schedule-store.ts';
export type {
  ClaimRequest,
  ClaimVerdict,
  Delivery,
  Lease,
  Session,
  SessionOptions,
  SessionSignal,
  SettleOp,
  SettleOutcome,
  TaskReport,
} from './broker/session.ts';
export type {
  ControlOutcome,
  DueTime,
  TaskChanges,
  TaskEvent,
  TaskFilter,
  TaskPage,
  TaskStore,
} from './broker/task-store.ts';
export { type Client, type ClientOptions, createClient, type EnqueueItem } from './client/create-client.ts';
export { EnqueueManyError } from './client/enqueue-many-error.ts';
export type { EnqueueOptions } from './client/enqueue-options.ts';
export type { TaskControl } from './client/task-control.ts';
export { type ResultOptions, type TaskAccess, TaskHandle } from './client/task-handle.ts';
export { type Clock, systemClock, type TimerHandle } from './clock.ts';
export { type ConnectOptions, connect, registerAdapter } from './connect.ts';
export {
  defineTask,
  type TaskDefinition,
  type TaskInput,
  type TaskOptions,
  type TaskOutput,
  type TaskParsedInput,
  type TaskReturn,
  typed,
} from './define-task.ts';
export { type Duration, type DurationUnit, parseDuration } from './duration.ts';
export {
  AbortedError,
  type AbortReason,
  BackpressureError,
  ClosedError,
  ConfigurationError,
  CorruptTaskError,
  type ErrorCode,
  type ErrorDetails,
  IndeterminateError,
  isMillraceError,
  LeaseLostError,
  MillraceError,
  NotFoundError,
  type Retryable,
  TaskFailedError,
  UnavailableError,
  UnsupportedError,
  ValidationError,
} from './errors.ts';
export { type Logger, type LogMethod, silentLogger, stderrLogger } from './logger.ts';
export { decodePayload, deepestPayload, encodePayload } from './payload.ts';
export {
  checkAttempts,
  custom,
  defaultRetry,
  delays,
  type ExponentialOptions,
  exponential,
  type FixedOptions,
  fixed,
  type Jitter,
  type LinearOptions,
  linear,
  none,
  type RetryFailure,
  type RetryPolicy,
} from './retry-policy.ts';
export {
  isTerminal,
  settledState,
  type TaskOperation,
  type TaskState,
  type TransitionResult,
  terminalStates,
  transition,
  transitions,
} from './state-machine.ts';
export {
  type FailureKind,
  type KeyConflict,
  type KeyUntil,
  type NewTask,
  type Payload,
  priorityRange,
  type StopRequest,
  type TaskError,
  type TaskFailure,
  type TaskHeaders,
  type TaskLogLine,
  type TaskRecord,
  taskListLimits,
} from './task.ts';
export { createWorker, type Worker } from './worker/create-worker.ts';
export { type Handler, type HandlerOptions, handle } from './worker/handle.ts';
export { NonRetryable, RetryAfter, Snooze } from './worker/outcome.ts';
export type { ShutdownReport } from './worker/shutdown.ts';
export { type StopOnSignalsOptions, type Stoppable, stopOnSignals } from './worker/stop-on-signals.ts';
export type { Checkpoint, Middleware, TaskContext } from './worker/task-context.ts';
export type { HeartbeatThreadOptions, WorkerOptions } from './worker/worker-options.ts';
