// Taken when the module is loaded: a test may replace the global timers later.
const { setImmediate } = globalThis;

/**
 * Lets everything run that is ready to run: promise chains to their end, and what they put off to the next turn of the
 * event loop, several times over. Waits for no time to pass.
 */
export async function turns(count = 4): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
