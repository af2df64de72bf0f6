// The same run without a runner: what they all have to agree with.
import { runConformance } from '@millrace/conformance';
import { chosen, harness } from './subject.mjs';

const { scenarios } = await runConformance(harness, { scenarios: chosen });
const passed = scenarios.filter(({ status }) => status === 'pass').length;
const failed = scenarios.filter(({ status }) => status === 'fail' || status === 'error').length;
console.log(JSON.stringify({ passed, failed, skipped: scenarios.length - passed - failed }));
