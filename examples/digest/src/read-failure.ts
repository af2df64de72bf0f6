/** Failures that reading again will not change, and what they mean here. */
const final: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a folder',
  ELOOP: 'it became a symbolic link',
  ENAMETOOLONG: 'its path is too long',
  ENOENT: 'it vanished before it was read',
  // A folder on the way to the file was replaced by something else.
  ENOTDIR: 'it vanished before it was read',
  // A socket, or a device without a driver, took the file's place.
  ENXIO: 'it is not a regular file',
};

/** The reason, in words, when reading a file failed for good; `undefined` when another attempt may succeed. */
export function finalReadFailure(error: unknown): string | undefined {
  const code = codeOf(error);
  return code === undefined ? undefined : final[code];
}

/** What went wrong, without the path that Node puts into its messages: people see that beside it. */
export function describeReadFailure(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return finalReadFailure(error) ?? (codeOf(error) === undefined ? message : (message.split(', ')[0] ?? message));
}

function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : undefined;
}
