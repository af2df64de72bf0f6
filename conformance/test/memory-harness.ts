import type { BrokerHarness } from '../src/harness.ts';

/**
 * The harness of the memory adapter. Its address is worked out at run time: adapters depend on the suite, so the suite
 * must not depend on one of them.
 */
export async function loadMemoryHarness(): Promise<BrokerHarness> {
  const file = new URL('../../packages/memory/test/harness.ts', import.meta.url);
  const { harness } = (await import(/* @vite-ignore */ file.href)) as { readonly harness: BrokerHarness };
  return harness;
}
