import { ValidationError } from './errors.ts';

/** How a value is described in an error message: its type, or the number itself. Never its content. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'number' ? String(value) : typeof value;
}

/**
 * Refuses option names nobody knows, so that a typo does not silently change behaviour (BAD-01).
 * @param where what takes the options, for the message. @param prefix goes before the name in the error's `option`.
 * @throws ValidationError naming the option
 */
export function checkKnownOptions(options: object, known: readonly string[], where: string, prefix = ''): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ValidationError(`${where} needs an object of options; got ${kindOf(options)}`, { option: 'options' });
  }
  for (const option of Object.keys(options)) {
    if (known.includes(option)) continue;
    throw new ValidationError(`${where} has no option '${option}'; it knows ${known.join(', ')}`, {
      option: `${prefix}${option}`,
      reason: 'unknown-option',
    });
  }
}
