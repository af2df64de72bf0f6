import type { Scenario } from '../scenario.ts';
import { freezeScenarios } from './scenarios-freeze.ts';
import { killScenarios } from './scenarios-kill.ts';
import { linkScenarios } from './scenarios-link.ts';
import { networkScenarios } from './scenarios-network.ts';
import { replyScenarios } from './scenarios-reply.ts';
import { silenceScenarios } from './scenarios-silence.ts';
import { stormScenarios } from './scenarios-storm.ts';

/** What breaks the network or worker processes: brokers in this process run none of it. */
export const faultScenarios: readonly Scenario[] = [
  ...linkScenarios,
  ...replyScenarios,
  ...networkScenarios,
  ...silenceScenarios,
  ...stormScenarios,
  ...killScenarios,
  ...freezeScenarios,
];
