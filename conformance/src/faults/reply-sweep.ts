import type { Client } from '../context/client.ts';
import type { Holder } from '../context/holder.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import type { Need } from '../scenario.ts';
import { type CallEnd, endOfCall, longestCallMs, recoveryMs } from './call-end.ts';
import { layWire, type Wire } from './wire.ts';

/** What a case works with. `t.client` is the observer: it does not go through the proxy. */
export interface Stage {
  readonly t: ScenarioContext;
  readonly wire: Wire;
  /** The client whose replies are cut. */
  readonly client: Client;
  /** A session of that client; another one when the last was lost. */
  holder(): Promise<Holder>;
  /** A line of its own for each round. */
  readonly queue: string;
}

/** A mutating operation, and how to tell whether it was applied. */
export interface CutCase<S> {
  readonly label: string;
  readonly needs?: Need;
  /** Brings about what the operation works on. */
  arrange(stage: Stage): Promise<S>;
  act(stage: Stage, state: S): Promise<unknown>;
  /** The network works again. Finds out what happened, repeats if need be, and checks that it happened once. */
  assess(stage: Stage, state: S, ended: CallEnd<unknown>): Promise<void>;
}

/** A case with its state hidden, so that different ones fit into one list. */
export interface SweepableCase {
  readonly label: string;
  readonly needs?: Need;
  round(stage: Stage, fire: (act: () => Promise<unknown>) => Promise<CallEnd<unknown>>): Promise<void>;
}

/** Hides a case's state. */
export function sweepable<S>(cut: CutCase<S>): SweepableCase {
  return {
    label: cut.label,
    ...(cut.needs !== undefined && { needs: cut.needs }),
    async round(stage, fire) {
      const state = await cut.arrange(stage);
      const ended = await fire(() => cut.act(stage, state));
      await cut.assess(stage, state, ended);
    },
  };
}

/** More replies than any operation needs, connecting and logging in included. */
const mostReplies = 25;
const enoughFailures = 3;

/** Whether a sweep can end: a few failures tell as much as all, and one that waited for what did not come as much as a few. */
export function hasFailedEnough(t: ScenarioContext, startedAt: number): boolean {
  const failures = t.cells.filter((cell) => cell.status === 'fail').length;
  return failures >= enoughFailures || (failures > 0 && t.now() - startedAt > recoveryMs(t));
}

/**
 * Cuts the first reply an operation gets, then the second, and so on, until it gets through without a cut. Afterwards
 * the backend is there again at once, or out of reach until the operation has ended.
 */
export async function sweepReplies(
  t: ScenarioContext,
  cases: readonly SweepableCase[],
  afterwards: 'there' | 'out-of-reach' = 'there',
): Promise<void> {
  const startedAt = t.now();
  const wire = await layWire(t);
  const client = await wire.open();
  let last: Holder | undefined;
  const holder = async (): Promise<Holder> => {
    if (last === undefined || last.session.lost.aborted) last = await t.holder({ client, instance: 'cut' });
    return last;
  };
  for (const each of cases) {
    const obstacle = each.needs?.(t.capabilities, t.harness) ?? true;
    if (obstacle !== true) {
      t.notObservable(each.label, obstacle.reason);
      continue;
    }
    let cuts = 0;
    for (let nth = 1; nth <= mostReplies; nth++) {
      let fired = false;
      await t.cell(`${each.label}, reply ${nth}`, async () => {
        const stage: Stage = { t, wire, client, holder, queue: `${each.label} ${nth}` };
        await each.round(stage, async (act) => {
          const cut = wire.proxy.cutReply({ nth });
          if (afterwards === 'out-of-reach') void cut.done.then(() => wire.proxy.refuse());
          try {
            return await endOfCall(t, act, `the ${each.label} whose reply is cut`);
          } finally {
            fired = cut.fired;
            cut.disarm();
            if (fired) await t.soon(cut.done, 'the cut', longestCallMs);
            await wire.proxy.accept();
          }
        });
      });
      if (!fired) break;
      cuts += 1;
      if (hasFailedEnough(t, startedAt)) return;
    }
    t.require(
      cuts > 0,
      `${each.label} was answered before any reply: it does not wait for one, or does not use target.url`,
    );
  }
}
