import type { BrokerHarness } from '@millrace/conformance';
import { startPrivateServer } from './private-server.ts';

const place = await startPrivateServer();

/** What the committed report is made of: everything, on a server of its own. */
export const harness: BrokerHarness = place.harness;
export const close: () => Promise<void> = place.close;
