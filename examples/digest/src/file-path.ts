import { isUtf8 } from 'node:buffer';

/**
 * A file's path below the digested folder, as a task carries it. File names are bytes; those that are no UTF-8 would
 * not survive a string, so they travel as base64.
 */
export interface StoredPath {
  readonly path: string;
  readonly encoding?: 'base64' | undefined;
}

export function toStoredPath(path: Buffer): StoredPath {
  return isUtf8(path) ? { path: path.toString() } : { path: path.toString('base64'), encoding: 'base64' };
}

export function fromStoredPath({ path, encoding }: StoredPath): Buffer {
  return Buffer.from(path, encoding ?? 'utf8');
}

const slash = Buffer.from('/');

/** Joins bytes; `path.join` knows only strings. An empty folder is the folder itself. */
export function joinPath(folder: Buffer, name: Buffer): Buffer {
  return folder.length === 0 ? name : Buffer.concat([folder, slash, name]);
}

/** For people: a name may hold newlines or codes that move the cursor, which must not reach a terminal. */
export function printablePath(path: Buffer): string {
  // Latin-1 shows each byte as one character, so that bytes outside of UTF-8 can be told apart.
  const text = isUtf8(path) ? path.toString() : path.toString('latin1').replace(/[\x80-\xff]/g, escapeByte);
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join(''),
  );
}

function escapeByte(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16)}`;
}
