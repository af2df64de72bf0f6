import { type BrokerHarness, type Mutant, runMutants } from '@millrace/conformance';
import { describe, expect, it } from 'vitest';
import { StoreBroker } from '../src/redis-broker.ts';
import { makeScripts, type ScriptName } from '../src/scripts.ts';
import { harness } from './harness.ts';

/** A change of one line in some scripts, and the scenario that has to notice. */
interface ScriptMutant {
  readonly name: string;
  readonly defect: string;
  readonly caughtBy: string;
  readonly scripts: readonly ScriptName[];
  readonly from: string;
  readonly to: string;
  /** With polling out of the way, only what is told counts. */
  readonly pollInterval?: string;
}

const traps: readonly ScriptMutant[] = [
  {
    name: 'fence-starts-again',
    defect: 'every claim counts its fences from one',
    caughtBy: 'LSE-06',
    scripts: ['claimTasks'],
    from: "call('HINCRBY', META, 'fence', taken + 1) - taken",
    to: '0',
  },
  {
    name: 'settle-by-membership',
    defect: 'whoever holds the task may settle it, with any fence',
    caughtBy: 'STM-05',
    scripts: ['settleTasks'],
    from: 'sub(text, 5, 43) == ours',
    to: 'sub(text, 28, 43) == session',
  },
  {
    name: 'report-by-membership',
    defect: 'whoever holds the task may report, with any fence',
    caughtBy: 'STM-05',
    scripts: ['reportTasks'],
    from: 'sub(text, 5, 43) == sub(code, 1, 23) .. session',
    to: 'sub(text, 28, 43) == session',
  },
  {
    name: 'early',
    defect: 'due times are counted from a second ago',
    caughtBy: 'DLY-01',
    scripts: ['enqueueTasks'],
    from: 'math.floor(tonumber(clock[2]) / 1000)',
    to: '-1000',
  },
  {
    name: 'forgets-what-it-gave',
    defect: 'a session that asks what it has, because an answer was lost, is told nothing',
    caughtBy: 'CBI-14',
    scripts: ['readHeld'],
    from: 'eachHeld(ARGV[1], function(id, text, content)',
    to: "eachHeld('', function(id, text, content)",
  },
  {
    name: 'nobody-runs-it',
    defect: 'a first run does not say who has it',
    caughtBy: 'MOD-09',
    scripts: ['readTasks'],
    from: 'wholeRun(call',
    to: '(call',
  },
  {
    name: 'ended-by-nobody',
    defect: 'the end of a first run forgets who had it',
    caughtBy: 'MOD-09',
    scripts: ['settleTasks'],
    from: 'local whole = wholeRun(text)',
    to: "local whole = sub(text, 1, 43) .. NEVER .. sub(text, 44, 56) .. NO_TIME .. '-00000'",
  },
  {
    name: 'together-not-held',
    defect: 'a session does not know what it was given together when it falls silent',
    caughtBy: 'LSE-14',
    scripts: ['claimTasks'],
    from: 'holdTogether(session, claim, reply[3], plainCount)',
    to: '',
  },
  {
    name: 'let-go-of-all',
    defect: 'a session that settles one of the tasks it was given together forgets the others',
    caughtBy: 'LSE-12',
    scripts: ['settleTasks'],
    from: '-total) <= 0',
    to: '-total) >= 0',
  },
  {
    name: 'twice-is-two',
    defect: 'a lease settles as often as it is in one call',
    caughtBy: 'STM-04',
    scripts: ['settleTasks'],
    from: "if ARGV[from + 1] ~= '1' then",
    to: 'if false then',
  },
  {
    name: 'settled-by-word',
    defect: 'a settle that travels with a claim is said to be applied, and is not',
    caughtBy: 'STM-18',
    scripts: ['settleAndClaim'],
    from: 'settleRuns(ARGV[2], last + 1)',
    to: "'*'",
  },
  {
    name: 'brought-back-quietly',
    defect: 'what a settle hands back beside a claim is told to nobody',
    caughtBy: 'STM-18',
    scripts: ['settleAndClaim'],
    from: 'soonest = brought',
    to: 'soonest = nil',
    pollInterval: '1h',
  },
  {
    name: 'given-to-nobody',
    defect: 'a task is given to a claim whose process is gone',
    caughtBy: 'FLT-42',
    scripts: ['enqueueTasks'],
    from: 'session .. fence .. id .. content) > 0 then',
    to: 'session .. fence .. id .. content) >= 0 then',
  },
  {
    name: 'given-and-kept',
    defect: 'a task that was given to a claim that sleeps stays in line as well',
    caughtBy: 'CON-17',
    scripts: ['enqueueTasks'],
    from: '  isGiven = total == 1 and giveAlone()\n',
    to: '  if total == 1 then\n    giveAlone()\n  end\n',
  },
  {
    name: 'given-in-a-pause',
    defect: 'a claim that sleeps is given a task of a queue that was paused meanwhile',
    caughtBy: 'PAU-02',
    scripts: ['enqueueTasks'],
    from: ' and not last[3]',
    to: '',
  },
  {
    name: 'promoted-into-nothing',
    defect: 'what falls due leaves its place and enters no line',
    caughtBy: 'DLY-02',
    scripts: ['claimTasks', 'lookForWork', 'tendQueue'],
    from: "call('ZADD', READY .. name, score(priorityOf(content), tonumber(due[number * 2])), members[number])",
    to: '',
  },
  {
    name: 'comes-back-low',
    defect: 'a task that comes back stands in line with the lowest priority',
    caughtBy: 'PRI-03',
    scripts: ['settleTasks', 'tendQueue', 'leaveQueue'],
    from: "call('ZADD', READY .. name, score(priorityOf(content), run.due), memberOf(id, content))",
    to: "call('ZADD', READY .. name, score(0, run.due), memberOf(id, content))",
  },
  {
    name: 'starts-with-its-key',
    defect: 'a key until started stays taken when the task is claimed',
    caughtBy: 'DUP-12',
    scripts: ['claimTasks'],
    from: "freeKey(id, content, { key = '1' })",
    to: '',
  },
  {
    name: 'ends-with-its-key',
    defect: 'a task that ends keeps its key',
    caughtBy: 'DUP-04',
    scripts: ['settleTasks'],
    from: "call('HDEL', KEY, key)",
    to: '',
  },
  {
    name: 'lost-is-free',
    defect: 'a lost run is given back uncharged',
    caughtBy: 'LSE-02',
    scripts: ['tendQueue'],
    from: "endRun(id, content, run, 'l', token, 0, nil, failure)",
    to: "endRun(id, content, run, 'r', token)",
  },
  {
    name: 'silent-for-ever',
    defect: 'nobody takes tasks back from sessions that fell silent',
    caughtBy: 'LSE-14',
    scripts: ['tendQueue'],
    from: "call('ZRANGEBYSCORE', SESSION, '-inf', now, 'LIMIT', 0, 20)",
    to: '{}',
  },
  {
    name: 'dead-vanish',
    defect: 'a task that failed for good is removed',
    caughtBy: 'RTY-11',
    scripts: ['settleTasks'],
    from: "if to == 'gone' then",
    to: "if to == 'gone' or to == 'f' then",
  },
  {
    name: 'new-because-they-rise',
    defect: 'ids that were made here are taken for new when they come again',
    caughtBy: 'DUP-14',
    scripts: ['enqueueTasks'],
    from: 'return highest and ids[1] > highest,',
    to: 'return true,',
  },
  {
    name: 'taken-for-new',
    defect: 'ids are taken for new without a look at those that are there',
    caughtBy: 'DUP-01',
    scripts: ['enqueueTasks'],
    from: 'local found = new and {}',
    to: 'local found = true and {}',
  },
  {
    name: 'counts-as-fresh',
    defect: 'a task that was changed while it waited in the list still counts as fresh',
    caughtBy: 'PRI-04',
    scripts: ['controlTasks'],
    from: "count('void', 1)",
    to: '',
  },
  {
    name: 'list-first',
    defect: 'the list of fresh tasks is emptied without a look at higher priorities that wait elsewhere',
    caughtBy: 'PRI-01',
    scripts: ['claimTasks'],
    from: 'return score(USUAL, tonumber(created))',
    to: 'return score(9, tonumber(created))',
  },
  {
    name: 'taken-and-left',
    defect: 'of tasks that lie in one entry, the last one taken stays in line',
    caughtBy: 'ORD-02',
    scripts: ['claimTasks'],
    from: 'restOf(entries[whole + 1], left)',
    to: 'restOf(entries[whole + 1], left - 1)',
  },
  {
    name: 'named-twice',
    defect: 'a claim that names tasks twice takes from their line twice',
    caughtBy: 'CON-04',
    scripts: ['claimTasks'],
    from: 'if not seen[name] then',
    to: 'if true then',
  },
  {
    name: 'line-by-line',
    defect: 'a claim empties one line of tasks before it looks at the next',
    caughtBy: 'PRI-01',
    scripts: ['claimTasks'],
    from: '(rival and comesBefore(rival, line))',
    to: 'false',
  },
  {
    name: 'lists-what-was-listed',
    defect: 'a listing shows what was in the index already',
    caughtBy: 'MOD-11',
    scripts: ['scanTasks'],
    from: 'tonumber(ARGV[5]) or unlistedIds()',
    to: '0',
  },
  {
    name: 'starts-too-late',
    defect: 'a claim gives tasks that should not be started any more',
    caughtBy: 'STM-11',
    scripts: ['claimTasks'],
    from: 'if expires and expires <= now then',
    to: 'if false then',
  },
  {
    name: 'miscounts',
    defect: 'a claimed task goes on counting as pending',
    caughtBy: 'OBS-05',
    scripts: ['claimTasks'],
    from: "count('pending', -pending)",
    to: '',
  },
  {
    name: 'tells-nobody',
    defect: 'an enqueue wakes nobody',
    caughtBy: 'CON-09',
    scripts: ['enqueueTasks'],
    from: "call('PUBLISH', base .. ':work', '')",
    to: '',
    pollInterval: '1h',
  },
  {
    name: 'pause-with-holes',
    defect: 'a paused queue goes on giving tasks',
    caughtBy: 'PAU-01',
    scripts: ['claimTasks', 'lookForWork'],
    from: "call('HGET', META, 'stopped')",
    to: 'false',
  },
  {
    name: 'stops-are-forgotten',
    defect: 'a heartbeat does not say which tasks shall stop',
    caughtBy: 'CAN-02',
    scripts: ['beatSession'],
    from: "call('SMEMBERS', STOP .. session)",
    to: '{}',
  },
  {
    name: 'prunes-early',
    defect: 'retention takes seconds for milliseconds',
    caughtBy: 'OBS-12',
    scripts: ['tendQueue', 'lookForMaintenance'],
    from: 'now - keptMs',
    to: 'now - keptMs / 1000',
  },
  {
    name: 'keeps-those-beside',
    defect: 'what ended together with a task that runs again is kept for ever',
    caughtBy: 'OBS-12',
    scripts: ['controlTasks'],
    from: "call('ZADD', line, finished, entryOf(others, 1))",
    to: '',
  },
  {
    name: 'by-id-early',
    defect: 'a claim by id gives tasks that are not due',
    caughtBy: 'CBI-03',
    scripts: ['claimTheseTasks'],
    from: 'elseif run.due > now then',
    to: 'elseif false then',
  },
  {
    name: 'by-id-robs',
    defect: 'a claim by id gives tasks that run elsewhere',
    caughtBy: 'CBI-04',
    scripts: ['claimTheseTasks'],
    from: "return run.holder == session and 'o' or 'h'",
    to: "return run.holder == session and 'o' or nil",
  },
  {
    name: 'by-id-from-paused-queues',
    defect: 'a claim by id does not look whether the queue is paused',
    caughtBy: 'CBI-05',
    scripts: ['claimTheseTasks'],
    from: "return paused and 'q' or nil",
    to: 'return nil',
  },
  {
    name: 'by-id-too-late',
    defect: 'a claim by id gives tasks that should not be started any more',
    caughtBy: 'CBI-06',
    scripts: ['claimTheseTasks'],
    from: 'elseif expires and expires <= now then',
    to: 'elseif false then',
  },
  {
    name: 'by-id-with-an-old-fence',
    defect: 'a claim by id gives the fence the task had',
    caughtBy: 'CBI-08',
    scripts: ['claimTheseTasks'],
    from: "run.fence = format('%013d', call('HINCRBY', META, 'fence', 1))",
    to: '',
  },
  {
    name: 'by-id-not-held',
    defect: 'a session does not know what it was given by id when it ends',
    caughtBy: 'CBI-10',
    scripts: ['claimTheseTasks'],
    from: 'holdAlone(session, { id })',
    to: '',
  },
  {
    name: 'by-id-with-its-key',
    defect: 'a key until started stays taken when the task is claimed by id',
    caughtBy: 'CBI-12',
    scripts: ['claimTheseTasks'],
    from: "if sub(content, 28, 28) == 's' then",
    to: 'if false then',
  },
];

function broken({ name, defect, caughtBy, scripts, from, to, pollInterval }: ScriptMutant): Mutant {
  const changed = makeScripts((script, text) => {
    if (!scripts.includes(script)) return text;
    const [before, after, ...more] = text.split(from);
    if (before === undefined || after === undefined || more.length > 0) {
      throw new Error(`${name}: ${script} must hold this once: ${from}`);
    }
    return before + to + after;
  });
  return {
    name,
    defect,
    caughtBy,
    breakHarness: (inner: BrokerHarness) => ({
      ...inner,
      connect: ({ url, namespace, clock, callTimeoutMs }) =>
        new StoreBroker(
          {
            url,
            prefix: namespace,
            clock,
            ...(callTimeoutMs !== undefined && { operationTimeout: callTimeoutMs }),
            ...(pollInterval !== undefined && { pollInterval: pollInterval as '1h' }),
          },
          changed,
        ),
    }),
  };
}

describe('every script with a trap in it is caught by the scenario it names', () => {
  it.concurrent.each(traps)('$name: $defect ($caughtBy)', async (trap) => {
    const [result] = await runMutants(harness, { mutants: [broken(trap)] });
    expect(result, result?.reason).toMatchObject({ caught: true });
  });
});
