import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

// Asking the system for 16 random bytes costs 2 µs, most of what making a task costs; asking for many at once does not.
const pool = new Uint8Array(16 * 256);
let used = pool.length;

function randomBytes(): Uint8Array {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += 16;
  return pool.subarray(used - 16, used);
}

let lastMs = 0;
let sequence = 0;

/** A UUIDv7 (RFC 9562) that is larger than every one made before by this process, so that ids keep the order of making. */
export function newTaskId(): string {
  const now = Date.now();
  if (now > lastMs) {
    lastMs = now;
    // Starts in the lower half of its 32 bits, so that it never overflows within a millisecond.
    sequence = Math.floor(Math.random() * 0x7fffffff);
  } else {
    sequence++;
  }
  return v7({ msecs: lastMs, seq: sequence, rng: randomBytes });
}
