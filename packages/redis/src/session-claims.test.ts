import { randomUUID } from 'node:crypto';
import { type NewTask, systemClock } from '@millrace/core';
import { expect, test } from 'vitest';
import { type Claimant, readGiven } from './claim.ts';
import { Keys } from './keys.ts';
import type { Locator } from './locator.ts';
import { SessionClaims } from './session-claims.ts';
import { writeContent } from './stored-task.ts';

const queue = 'line';

/** A task as the server writes it, with the fence it was given with. */
function givenTask(fence: number) {
  const id = randomUUID();
  const task: NewTask = { id, name: 'work', queue, headers: {}, priority: 4, delayMs: 0, maxAttempts: 3, version: 1 };
  const content = `000000000001${Date.now()}${writeContent(task)}`;
  const fence13 = String(fence).padStart(13, '0');
  return {
    id,
    /** The message of give.lua, after the session. */
    message: () => readGiven(`${fence13}${id}${content}`, queue, 'me'),
    /** The answer of read-held.lua. */
    found: [`0000000001${fence13}+000${Date.now()}0${id}`, content],
  };
}

/** Claims whose questions what they hold are answered by hand. */
function setUp() {
  const answers: ((reply: readonly string[]) => void)[] = [];
  const connection = { run: () => new Promise((resolve) => answers.push(resolve)) };
  const claimant = { connection, keys: new Keys('p'), sessionId: 'me' } as unknown as Claimant;
  const claims = new SessionClaims(claimant, {} as Locator, { clock: systemClock, operationTimeoutMs: 5_000 });
  const ask = async (): Promise<() => Promise<string[]>> => {
    claims.suspect(queue);
    const asked = claims.takeStrays();
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    return async () => (await asked).map(({ lease }) => lease.taskId);
  };
  return { claims, answers, ask };
}

test('a task that comes in its message while the server is asked for it is handed out once', async () => {
  const { claims, answers, ask } = setUp();
  const task = givenTask(7);
  const strays = await ask();
  expect(claims.accept(task.message())).toBe(true);
  answers[0]?.(task.found);
  expect(await strays()).toEqual([]);
  expect(claims.held.get(task.id)).toMatchObject({ fence: 7 });
});

test('a task that was found is not handed out by its message, not even after it has been settled', async () => {
  const { claims, answers, ask } = setUp();
  const task = givenTask(7);
  const strays = await ask();
  answers[0]?.(task.found);
  expect(await strays()).toEqual([task.id]);
  expect(claims.accept(task.message())).toBe(false);
  claims.held.delete(task.id);
  expect(claims.accept(task.message())).toBe(false);
  expect(claims.held.size).toBe(0);
});

test('a message that is late does not bring an older fence back', () => {
  const { claims } = setUp();
  const task = givenTask(7);
  claims.held.set(task.id, { fence: 8, queue });
  expect(claims.accept(task.message())).toBe(false);
  expect(claims.held.get(task.id)).toMatchObject({ fence: 8 });
});

test('what is held stays known, however many come and go beside it', () => {
  const { claims } = setUp();
  const [kept, ...others] = Array.from({ length: 3_000 }, (_unused, index) => givenTask(index + 1));
  expect(claims.accept((kept as ReturnType<typeof givenTask>).message())).toBe(true);
  for (const other of others) {
    expect(claims.accept(other.message())).toBe(true);
    claims.held.delete(other.id);
  }
  expect([...claims.held]).toEqual([[kept?.id, { fence: 1, queue }]]);
});
