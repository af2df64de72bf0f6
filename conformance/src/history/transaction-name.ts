const names = new WeakMap<object, string>();
let count = 0;

/** A name for a caller's transaction, the same each time: its tasks and its end are recorded under it. */
export function transactionName(transaction: unknown): string {
  if (typeof transaction !== 'object' || transaction === null) return String(transaction);
  let name = names.get(transaction);
  if (name === undefined) {
    count += 1;
    name = `tx-${process.pid}-${count}`;
    names.set(transaction, name);
  }
  return name;
}
