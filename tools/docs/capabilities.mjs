// The matrix of README: the whole one without a row for each group of scenarios.
import { produce as produceAll } from './scenarios.mjs';

export function produce() {
  return produceAll()
    .split('\n')
    .filter((line) => !line.startsWith('| Scenarios: '))
    .join('\n');
}
