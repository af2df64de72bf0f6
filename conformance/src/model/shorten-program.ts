/** Programs tried at most. A real backend may need tens of milliseconds for each. */
const mostTries = 400;

/**
 * Takes out of a program what is not needed for it to fail: halves first, then smaller pieces, then single commands.
 * fast-check has shrunk it already; this also gets rid of what only moved numbers about.
 */
export async function shortenProgram<T>(
  program: readonly T[],
  fails: (shorter: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
  let shortest = program;
  let tries = 0;
  for (let size = Math.ceil(program.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < shortest.length && tries < mostTries; ) {
      const shorter = [...shortest.slice(0, start), ...shortest.slice(start + size)];
      tries += 1;
      if (await fails(shorter)) shortest = shorter;
      else start += size;
    }
  }
  return shortest;
}
