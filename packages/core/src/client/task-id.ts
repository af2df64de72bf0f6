import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

// Asking the system for 16 random bytes costs 2 µs, most of what making a task costs; asking for many at once does not.
const pool = new Uint8Array(16 * 256);
let used = pool.length;
const random = new Uint8Array(16);

function randomBytes(): Uint8Array {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  for (let index = 0; index < 16; index++) random[index] = pool[used + index] as number;
  used += 16;
  return random;
}

let lastMs = 0;
let sequence = 0;
const bytes = new Uint8Array(16);

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
  v7({ msecs: lastMs, seq: sequence, rng: randomBytes }, bytes);
  return write();
}

const digits = Buffer.from('0123456789abcdef');
const text = Buffer.alloc(36, '-');
/** Where the two digits of each byte stand. */
const places = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34] as const;

/** The text of an id, in one piece: put together of twenty it would leave each of them behind. */
function write(): string {
  for (let index = 0; index < 16; index++) {
    const byte = bytes[index] as number;
    const place = places[index] as number;
    text[place] = digits[byte >> 4] as number;
    text[place + 1] = digits[byte & 15] as number;
  }
  return text.toString('latin1');
}
