export type InvariantId =
  | `H0${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9}`
  | `H1${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9}`
  | `H2${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9}`
  | 'H30';

/** An invariant of histories. The numbers are those of the design note, §5.8; they never change. */
export interface Invariant {
  readonly id: InvariantId;
  readonly name: string;
  /** What must hold, in a sentence. */
  readonly rule: string;
}

/** Every invariant, in the order of the numbers. */
export const invariants: readonly Invariant[] = [
  { id: 'H01', name: 'no loss', rule: 'an accepted task ends, or is still there after the drain' },
  { id: 'H02', name: 'no phantom', rule: 'what is delivered was enqueued, or its enqueue is unknown' },
  { id: 'H03', name: 'no lost settle', rule: 'what was answered applied is what the final record shows' },
  { id: 'H04', name: 'the end is final', rule: 'no claim after an applied end, unless it was rerun' },
  { id: 'H05', name: 'one owner', rule: 'two leases of a task are never trusted at the same time' },
  { id: 'H06', name: 'fencing', rule: 'a lease settles once, and not after a newer one was given' },
  { id: 'H07', name: 'fences grow', rule: 'each claim of a task has a higher fence than those before' },
  { id: 'H08', name: 'attempts count', rule: 'attempts go 1, 2, 3; given back ones are used again' },
  { id: 'H09', name: 'attempts end', rule: 'no attempt beyond the maximum, and no task dead of loss before it' },
  { id: 'H10', name: 'in time', rule: 'no start before the task is due, none after it expired' },
  { id: 'H11', name: 'not forgotten', rule: 'a due task starts within the bound when a worker waits for it' },
  { id: 'H12', name: 'payload', rule: 'input, name and headers arrive as they were enqueued, on every attempt' },
  { id: 'H13', name: 'cancel holds', rule: 'a cancelled or removed task does not start again' },
  { id: 'H14', name: 'pause holds', rule: 'nothing starts between a pause and its resumption' },
  { id: 'H15', name: 'unique', rule: 'an id or a held unique key is accepted once, and a free one is accepted' },
  { id: 'H16', name: 'group order', rule: 'tasks of a group start in order, each after the one before is through' },
  { id: 'H17', name: 'fifo', rule: 'a single consumer gets equal priorities in the order they fell due' },
  { id: 'H18', name: 'priority', rule: 'a single consumer never gets a lower priority while a higher one waits' },
  { id: 'H19', name: 'concurrency', rule: 'no more handlers at once than allowed' },
  { id: 'H20', name: 'rate', rule: 'no more starts in a window than allowed' },
  { id: 'H21', name: 'schedule', rule: 'each tick is enqueued at most once' },
  { id: 'H22', name: 'transaction', rule: 'nothing of a rolled back transaction, nothing before its commit' },
  { id: 'H23', name: 'reads', rule: 'states that reads show follow the state machine and never go back' },
  { id: 'H24', name: 'event stream', rule: 'every end is told, and is what the record shows' },
  { id: 'H25', name: 'conservation', rule: 'at rest the counts by state are those of the tasks' },
  { id: 'H26', name: 'all or nothing', rule: 'an atomic batch is there as a whole or not at all' },
  { id: 'H27', name: 'recovery', rule: 'tasks of a dead worker start again within ttl, sweep and the bound' },
  { id: 'H28', name: 'no leak', rule: 'at rest no more resources are held than before' },
  { id: 'H29', name: 'effects', rule: 'an effect in the transaction of the settle happens exactly once' },
  { id: 'H30', name: 'calls end', rule: 'calls fail with a documented code, and none outlives its deadline' },
];
