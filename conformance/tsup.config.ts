import type { Options } from 'tsup';
import { libraryBuild } from '../tsup.base.ts';

const config: Options = libraryBuild({
  index: 'src/index.ts',
  main: 'src/cli/main.ts',
  worker: 'src/faults/worker-entry.ts',
});

export default config;
