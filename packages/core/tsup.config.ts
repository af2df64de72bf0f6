import type { Options } from 'tsup';
import { libraryBuild } from '../../tsup.base.ts';

const config: Options = libraryBuild({
  index: 'src/index.ts',
  'adapter/index': 'src/adapter/index.ts',
  'heartbeat-thread/program': 'src/heartbeat-thread/program.ts',
});

export default config;
