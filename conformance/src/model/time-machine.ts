import { type Clock, systemClock } from '@millrace/core';
import type { BrokerHarness, Target, VirtualClock } from '../harness.ts';
import { JourneyClock } from './journey-clock.ts';

/** How time is made to pass on a broker. */
export interface TimeMachine {
  readonly kind: 'virtual' | 'travel' | 'wall';
  /** What clients are given. */
  readonly clock: Clock;
  /** Milliseconds by the broker's clock; where that is not ours, by this machine's, journeys included. */
  now(): number;
  /** Lets time pass, and every client that is alive notice. */
  advance(ms: number, target: Target, ttlMs: number): Promise<void>;
  /** Lets what clients have sent be answered, until something shows that it was. */
  settle(isDone: () => boolean): Promise<void>;
  /** Lets what a client has sent arrive: a heartbeat under way must not come out at the end of a journey. */
  calm(): Promise<void>;
}

/** The best there is: the harness's own clock, journeys of what is stored, or nothing. */
export function timeMachineOf(harness: BrokerHarness, namespace: string): TimeMachine {
  const virtual = harness.clock?.(namespace);
  if (virtual !== undefined) return virtualTime(virtual);
  const travel = harness.hooks?.travel?.bind(harness.hooks);
  if (travel === undefined) return wallTime;
  return harness.ignoresClock === true ? storedJourneys(travel) : journeys(travel);
}

function virtualTime(clock: VirtualClock): TimeMachine {
  return {
    kind: 'virtual',
    clock,
    now: () => clock.now(),
    advance: async (ms) => clock.advance(ms),
    settle: async () => clock.advance(0),
    calm: async () => clock.advance(0),
  };
}

const wallTime: TimeMachine = {
  kind: 'wall',
  clock: systemClock,
  now: () => Date.now(),
  advance: async () => {},
  settle: async () => {},
  calm: async () => {},
};

type Travel = (target: Target, ms: number) => Promise<void>;

/** Only what is stored travels: clients stay behind, so nothing may be about how long they live. */
function storedJourneys(travel: Travel): TimeMachine {
  let travelled = 0;
  return {
    ...wallTime,
    kind: 'wall',
    now: () => Date.now() + travelled,
    advance: async (ms, target) => {
      await travel(target, ms);
      travelled += ms;
    },
  };
}

/** Of a time to live: each stage is short enough for two heartbeats to fail on the way. */
const stageShare = 1 / 4;
/** Real milliseconds that a heartbeat is given to be answered. */
const answerMs = 15;
const longestAnswerMs = 300;

/** What is stored and all clients travel together, in stages, so that those who are alive can say so. */
function journeys(travel: Travel): TimeMachine {
  const clock = new JourneyClock();
  return {
    kind: 'travel',
    clock,
    now: () => clock.now(),
    advance: async (ms, target, ttlMs) => {
      for (let left = ms; left > 0; left -= ttlMs * stageShare) {
        const stage = Math.min(left, ttlMs * stageShare);
        await travel(target, stage);
        clock.leap(stage);
        await pause(answerMs);
      }
    },
    settle: async (isDone) => {
      for (let waited = 0; waited < longestAnswerMs && !isDone(); waited += answerMs) await pause(answerMs);
    },
    calm: () => pause(4 * answerMs),
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
