import { type Client, decodePayload } from '@millrace/core';
import { fromStoredPath } from './file-path.ts';
import { filesOf, type RunFiles } from './run-files.ts';
import { sumsLine } from './sums-line.ts';
import { digestFile } from './tasks.ts';

/** The content of `SHA256SUMS`, and what it is about. */
export interface CollectedSums {
  readonly content: Buffer;
  readonly files: number;
  readonly bytes: number;
}

/** Makes the result of the outputs the broker has stored, whichever process they came from, sorted by path. */
export async function collectSums(client: Client<unknown>, run: RunFiles): Promise<CollectedSums> {
  const digests: { readonly path: Buffer; readonly sha256: string }[] = [];
  let bytes = 0;
  for await (const task of client.tasks.all(filesOf(run, 'digested'))) {
    const output = digestFile.output.parse(decodePayload(task.output));
    digests.push({ path: fromStoredPath(digestFile.input.parse(decodePayload(task.input))), sha256: output.sha256 });
    bytes += output.bytes;
  }
  digests.sort((first, second) => Buffer.compare(first.path, second.path));
  const content = Buffer.concat(digests.map(({ path, sha256 }) => sumsLine(sha256, path)));
  return { content, files: digests.length, bytes };
}
