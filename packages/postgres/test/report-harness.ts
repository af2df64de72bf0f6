import type { BrokerHarness } from '@millrace/conformance';
import { startPrivateServer } from './private-server.ts';

const started = await startPrivateServer();

/** What the committed report is made of: everything, on a server of its own. */
export const harness: BrokerHarness = started.harness;

/** Ends that server. */
export const close: () => Promise<void> = started.close;
