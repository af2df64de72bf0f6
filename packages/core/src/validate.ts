import type { StandardSchemaV1 } from '@standard-schema/spec';
import { ValidationError } from './errors.ts';

/**
 * Runs a Standard Schema and returns its output; a promise only when the schema itself answered with one.
 * @throws ValidationError with the schema's issues; the message names paths, never values.
 */
export function validate(
  schema: StandardSchemaV1 | undefined,
  value: unknown,
  option: string,
): unknown | Promise<unknown> {
  if (schema === undefined) return value;
  const result = schema['~standard'].validate(value);
  // A promise of another realm, or of a library of its own, is one too: taken for a result it would pass as undefined.
  if (result instanceof Promise || typeof (result as { then?: unknown } | null)?.then === 'function') {
    return Promise.resolve(result).then((late) => accept(late, option));
  }
  return accept(result as StandardSchemaV1.Result<unknown>, option);
}

function accept(result: StandardSchemaV1.Result<unknown>, option: string): unknown {
  if (result.issues === undefined) return result.value;
  const issues = result.issues.map(({ message, path }) =>
    path === undefined ? { message } : { message, path: path.map(pathKey) },
  );
  const first = issues
    .slice(0, 3)
    .map(({ message, path }) =>
      path === undefined || path.length === 0 ? message : `${path.map(String).join('.')}: ${message}`,
    )
    .join('; ');
  throw new ValidationError(`${option} does not match its schema: ${first}`, {
    option,
    issues,
    reason: 'invalid-value',
  });
}

function pathKey(segment: PropertyKey | StandardSchemaV1.PathSegment): PropertyKey {
  return typeof segment === 'object' ? segment.key : segment;
}
