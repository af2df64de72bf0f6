/**
 * Runs handlers on a virtual clock: no server, no waiting.
 *
 * @module
 */
export type { InlineRunOptions } from './inline-run.ts';
export { createTestKit, type TestKit, type TestKitOptions } from './test-kit.ts';
export type { TestTask } from './test-task.ts';
export { VirtualClock } from './virtual-clock.ts';
