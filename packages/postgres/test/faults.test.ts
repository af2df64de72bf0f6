import { defineConformance, scenarios } from '@millrace/conformance';
import { afterAll, describe, it } from 'vitest';
import { startPrivateServer } from './private-server.ts';

const { harness, close } = await startPrivateServer();
afterAll(close);

const chosen = scenarios.filter(({ tier }) => tier === 'fault');
await defineConformance({ describe, it }, harness, { concurrency: 4, scenarios: chosen });
