import { describe, expect, it } from 'vitest';
import { Heap } from './heap.ts';

interface Item {
  readonly rank: number;
}

describe('Heap', () => {
  it('gives out the first item, whatever was added and dropped before', () => {
    const heap = new Heap<Item>((first, second) => first.rank < second.rank);
    const model: Item[] = [];
    let seed = 1;
    const random = (below: number): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    for (let step = 0; step < 20_000; step++) {
      const roll = random(10);
      if (roll < 5 || model.length === 0) {
        const item = { rank: random(500) };
        heap.add(item);
        model.push(item);
      } else if (roll < 8) {
        const taken = heap.take();
        expect(taken?.rank).toBe(Math.min(...model.map((item) => item.rank)));
        model.splice(model.indexOf(taken as Item), 1);
      } else {
        const [dropped] = model.splice(random(model.length), 1);
        expect(heap.delete(dropped as Item)).toBe(true);
      }
      expect(heap.size).toBe(model.length);
    }
  });

  it('takes an item once and says whether there was one to drop', () => {
    const heap = new Heap<Item>((first, second) => first.rank < second.rank);
    const item = { rank: 1 };
    heap.add(item);
    heap.add(item);
    expect(heap.size).toBe(1);
    expect(heap.delete(item)).toBe(true);
    expect(heap.delete(item)).toBe(false);
    expect([heap.peek(), heap.take()]).toEqual([undefined, undefined]);
  });
});
