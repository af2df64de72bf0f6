import { defineConformance, scenarios } from '@millrace/conformance';
import { describe, it } from 'vitest';
import { harnessAt } from './harness.ts';

const url = process.env.MILLRACE_TEST_REDIS_CLUSTER_URL ?? '';
// The suite's proxies stand before one address, and a cluster has several: no faults here.
const tiers = process.env.MILLRACE_TEST_ALL === undefined ? ['core'] : ['core', 'extended'];
const chosen = scenarios.filter(({ tier }) => tiers.includes(tier));
await defineConformance({ describe, it }, harnessAt('redis-cluster', url), { concurrency: 4, scenarios: chosen });
