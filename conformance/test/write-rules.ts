// tsx conformance/test/write-rules.ts: the rules of SPEC.md as data that the published package can show.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rulesSource } from './rules-source.ts';

writeFileSync(fileURLToPath(new URL('../src/spec/rules.ts', import.meta.url)), rulesSource());
