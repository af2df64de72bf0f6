/** The part of JSON Schema that report.schema.json uses. */
export interface Schema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
}

/** Where a value does not fit its schema; nothing when it does. */
export function misfits(value: unknown, schema: Schema, root: Schema = schema, at = 'report'): string[] {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.replace('#/$defs/', '');
    const target = root.$defs?.[name];
    return target === undefined ? [`${at}: no definition ${name}`] : misfits(value, target, root, at);
  }
  if ('const' in schema && value !== schema.const) return [`${at}: ${value}`];
  if (schema.enum !== undefined && !schema.enum.includes(value)) return [`${at}: ${value}`];
  if (schema.type !== undefined && typeOf(value) !== schema.type) return [`${at}: ${typeOf(value)}`];
  if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(String(value))) return [`${at}: ${value}`];
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? [] : value.flatMap((item, index) => misfits(item, items, root, `${at}[${index}]`));
  }
  return typeOf(value) === 'object' ? misfitMembers(value as Record<string, unknown>, schema, root, at) : [];
}

function misfitMembers(value: Record<string, unknown>, schema: Schema, root: Schema, at: string): string[] {
  const { required = [], properties = {}, additionalProperties = true } = schema;
  const missing = required.filter((name) => !(name in value)).map((name) => `${at}.${name}: missing`);
  const wrong = Object.entries(value).flatMap(([name, member]) => {
    const known = properties[name];
    if (known !== undefined) return misfits(member, known, root, `${at}.${name}`);
    if (typeof additionalProperties === 'object') return misfits(member, additionalProperties, root, `${at}.${name}`);
    return additionalProperties ? [] : [`${at}.${name}: not in the schema`];
  });
  return [...missing, ...wrong];
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}
