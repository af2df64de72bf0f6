import type { Command } from './command.ts';

/** Programs tried at most. A real backend may need tens of milliseconds for each. */
const mostTries = 400;

/**
 * Takes out of a program what is not needed for it to fail: halves first, then smaller pieces, then single commands,
 * then parts of commands. fast-check has shrunk it already, but it looks at one command at a time.
 */
export async function shortenProgram(
  program: readonly Command[],
  fails: (shorter: readonly Command[]) => Promise<boolean>,
): Promise<readonly Command[]> {
  let shortest = program;
  let tries = 0;
  const attempt = async (shorter: readonly Command[]): Promise<boolean> => {
    tries += 1;
    if (tries > mostTries || !(await fails(shorter))) return false;
    shortest = shorter;
    return true;
  };
  for (let size = Math.ceil(program.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < shortest.length; ) {
      if (!(await attempt([...shortest.slice(0, start), ...shortest.slice(start + size)]))) start += size;
    }
  }
  for (let index = 0; index < shortest.length; index++) {
    let smaller = smallerThan(shortest[index]);
    for (let next = smaller.shift(); next !== undefined; next = smaller.shift()) {
      if (await attempt([...shortest.slice(0, index), next, ...shortest.slice(index + 1)])) smaller = smallerThan(next);
    }
  }
  return shortest;
}

/** The command about one thing less, in each way. */
function smallerThan(command: Command | undefined): Command[] {
  switch (command?.type) {
    case 'enqueue':
      return withoutOne(command.tasks).map((tasks) => ({ ...command, tasks }));
    case 'settle':
      return withoutOne(command.leases).map((leases) => ({ ...command, leases }));
    case 'control':
      return withoutOne(command.tasks).map((tasks) => ({ ...command, tasks }));
    case 'get':
      return withoutOne(command.tasks).map((tasks) => ({ ...command, tasks }));
    default:
      return [];
  }
}

function withoutOne<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [];
  return items.map((_item, left) => items.filter((_other, index) => index !== left));
}
