import { describe, expect, it } from 'vitest';
import { noServer, programs } from './private-server.ts';
import { soakFaults } from './soak.ts';

describe('the server is restarted, killed and frozen, and links are cut, while tasks come and go', () => {
  it.skipIf(programs === undefined)(`none is lost${programs === undefined ? ` [${noServer}]` : ''}`, async () => {
    const { accepted, unknown, missing, dead } = await soakFaults({ tasks: 10_500 });
    expect({ missing, dead, all: accepted + unknown }).toEqual({ missing: [], dead: 0, all: 10_500 });
    expect(accepted).toBeGreaterThan(9_000);
  });
});
