import { describe, expect, it } from 'vitest';
import { ManualClock, turns } from '../../test/manual-clock.ts';
import { EndWatch } from './end-watch.ts';

/** Tasks that are on their way, and every look at them. */
function bench(open: readonly string[], pollMs = 1_000) {
  const clock = new ManualClock();
  const closed = new AbortController();
  const watch = new EndWatch({ clock, pollMs, closed: closed.signal });
  const way = new Set(open);
  const looks: { readonly at: number; readonly ids: readonly string[] }[] = [];
  const look = async (ids: readonly string[]) => {
    looks.push({ at: clock.monotonic(), ids });
    return { open: ids.filter((id) => way.has(id)) };
  };
  return { clock, closed, watch, way, looks, look };
}

/** Whether a promise has settled. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = (): void => {
    settled = true;
  };
  promise.then(note, note);
  await turns();
  return settled;
}

describe('EndWatch', () => {
  it('looks once and sleeps for nobody when all have ended, or no time is given', async () => {
    const { clock, watch, looks, look } = bench(['a']);
    await watch.wait(['b'], { waitMs: 1_000 }, look);
    await watch.wait(['a'], { waitMs: 0 }, look);
    expect(looks.map(({ ids }) => ids)).toEqual([['b'], ['a']]);
    expect(clock.pending).toBe(0);
  });

  it('looks again when it is told, for those that are left only', async () => {
    const { clock, watch, way, looks, look } = bench(['a', 'b']);
    const waiting = watch.wait(['a', 'b'], { waitMs: 60_000 }, look);
    await turns();
    way.delete('a');
    watch.tell(['nobody']);
    expect(await isSettled(waiting)).toBe(false);
    watch.tell(['a']);
    await turns();
    way.delete('b');
    watch.tell(undefined);
    await waiting;
    expect(looks).toEqual([
      { at: 0, ids: ['a', 'b'] },
      { at: 0, ids: ['a', 'b'] },
      { at: 0, ids: ['b'] },
    ]);
    expect(clock.pending).toBe(0);
  });

  it('does not miss an end between the look and the sleep (S15)', async () => {
    const { clock, watch, way } = bench(['a']);
    let looks = 0;
    await watch.wait(['a'], { waitMs: 60_000 }, async () => {
      looks += 1;
      const open = way.has('a') ? ['a'] : [];
      way.delete('a');
      watch.tell(['a']);
      return { open };
    });
    expect([looks, clock.monotonic(), clock.pending]).toEqual([2, 0, 0]);
  });

  it('looks by itself at growing intervals up to the longest, and once more when the time is over', async () => {
    const { clock, watch, looks, look } = bench(['a'], 150);
    const waiting = watch.wait(['a'], { waitMs: 600 }, look);
    await clock.advance(600);
    await waiting;
    expect(looks.map(({ at }) => at)).toEqual([0, 25, 75, 175, 325, 475, 600]);
  });

  it('looks again at once after it has begun to listen', async () => {
    const { clock, watch, way, looks, look } = bench(['a']);
    let listens = 0;
    const waiting = watch.wait(['a'], { waitMs: 60_000 }, async (ids) => {
      const found = await look(ids);
      const listen = async (): Promise<void> => {
        listens += 1;
      };
      return listens > 0 ? found : { ...found, listen };
    });
    await turns();
    expect([looks.length, listens, clock.monotonic()]).toEqual([2, 1, 0]);
    way.delete('a');
    watch.tell(['a']);
    await waiting;
  });

  it.each(['the caller', 'the broker'])('ends when %s has had enough, and leaves nothing behind', async (who) => {
    const { clock, closed, watch, look } = bench(['a']);
    const caller = new AbortController();
    const waiting = watch.wait(['a'], { waitMs: 60_000, signal: caller.signal }, look);
    expect(await isSettled(waiting)).toBe(false);
    (who === 'the caller' ? caller : closed).abort();
    await waiting;
    expect(clock.pending).toBe(0);
    let looked = false;
    const late = { waitMs: 60_000, signal: AbortSignal.abort() };
    await watch.wait(['a'], late, async (open) => {
      looked = true;
      return { open };
    });
    expect(looked).toBe(false);
  });

  it('passes on why a look failed, and watches no longer', async () => {
    const { clock, watch } = bench(['a']);
    const failing = watch.wait(['a'], { waitMs: 60_000 }, () => Promise.reject(new RangeError('no')));
    await expect(failing).rejects.toThrow('no');
    watch.tell(['a']);
    expect(clock.pending).toBe(0);
  });
});
