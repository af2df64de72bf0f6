import { type Adapter, ConfigurationError } from '@millrace/core';
import { type MemoryBroker, memoryBroker } from './memory-broker.ts';

/** For `connect`: `memory:` is a store of its own, `memory:<name>` is shared by this process. */
export const memoryAdapter: Adapter = {
  name: 'memory',
  schemes: ['memory'],
  connect: (url: string): MemoryBroker => {
    const name = /^memory:(?:\/\/)?([^?#]*)$/.exec(url)?.[1];
    if (name === undefined) {
      throw new ConfigurationError("a memory URL is 'memory:' or 'memory:<name>', without parameters", {
        adapter: 'memory',
        option: 'url',
      });
    }
    return memoryBroker(name === '' ? {} : { name });
  },
};
