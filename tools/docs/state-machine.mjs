// The state machine as a table, from the data the code runs on.
import { transitions } from '../../packages/core/src/state-machine.ts';

const states = ['scheduled', 'pending', 'running', 'retrying', 'paused', 'succeeded', 'failed', 'cancelled'];

export function produce() {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [
    line(['operation', ...states]),
    line(['---', ...states.map(() => '---')]),
    ...Object.entries(transitions).map(([operation, cells]) =>
      line([`\`${operation}\``, ...states.map((state) => cells[state] ?? '–')]),
    ),
  ].join('\n');
}
