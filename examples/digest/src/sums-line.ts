const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r' };

/**
 * One line of `SHA256SUMS`, in bytes, as GNU `sha256sum` writes and checks it: a name with a backslash, a newline or a
 * carriage return is escaped, and a backslash before the digest says so.
 */
export function sumsLine(sha256: string, path: Buffer): Buffer {
  // Latin-1 maps bytes to characters one to one, in both directions.
  const name = path.toString('latin1');
  const escaped = name.replace(/[\\\n\r]/g, (character) => escapes[character] ?? character);
  const marker = escaped === name ? '' : '\\';
  // A bare `-` would mean standard input to sha256sum.
  return Buffer.from(`${marker}${sha256}  ${escaped === '-' ? './-' : escaped}\n`, 'latin1');
}
