import { createHash } from 'node:crypto';
import * as lua from './lua/scripts.ts';

/** A script as the server knows it. */
export interface Script {
  readonly name: ScriptName;
  readonly text: string;
  /** What EVALSHA takes. */
  readonly sha: string;
}

const { record, held, give, place, fresh, take, endRun, settle, claim } = lua;

/** Each script after the libraries it may use. */
const texts: Readonly<Record<ScriptName, readonly string[]>> = {
  beatSession: [record, held, lua.beatSession],
  claimTasks: [record, held, give, place, fresh, take, claim, lua.claimTasks],
  claimTheseTasks: [record, held, place, lua.claimTheseTasks],
  lockIds: [lua.lockIds],
  unlockIds: [lua.unlockIds],
  controlTasks: [record, held, place, lua.controlTasks],
  enqueueTasks: [record, held, give, place, fresh, lua.enqueueTasks],
  findOverdue: [record, held, place, fresh, lua.findOverdue],
  findTasks: [record, lua.findTasks],
  leaveQueue: [record, held, place, endRun, lua.leaveQueue],
  lookForMaintenance: [record, held, place, fresh, lua.lookForMaintenance],
  lookForWork: [record, held, place, fresh, lua.lookForWork],
  pauseQueue: [record, held, place, lua.pauseQueue],
  purgeQueue: [record, held, place, fresh, lua.purgeQueue],
  queueStats: [record, held, place, fresh, lua.queueStats],
  readHeld: [record, held, lua.readHeld],
  readTasks: [record, lua.readTasks],
  reportTasks: [record, held, place, lua.reportTasks],
  scanTasks: [record, held, place, lua.scanTasks],
  settleAndClaim: [record, held, give, place, fresh, take, endRun, settle, claim, lua.settleAndClaim],
  settleTasks: [record, held, place, endRun, settle, lua.settleTasks],
  tendQueue: [record, held, place, fresh, endRun, lua.tendQueue],
  watchTasks: [record, lua.watchTasks],
};

/** Names of the scripts, as their files have them. */
export type ScriptName =
  | 'beatSession'
  | 'claimTasks'
  | 'claimTheseTasks'
  | 'controlTasks'
  | 'enqueueTasks'
  | 'findOverdue'
  | 'findTasks'
  | 'leaveQueue'
  | 'lockIds'
  | 'lookForMaintenance'
  | 'lookForWork'
  | 'pauseQueue'
  | 'purgeQueue'
  | 'queueStats'
  | 'readHeld'
  | 'readTasks'
  | 'reportTasks'
  | 'scanTasks'
  | 'settleAndClaim'
  | 'settleTasks'
  | 'tendQueue'
  | 'unlockIds'
  | 'watchTasks';

/**
 * A script after what it needs of its libraries: the server makes each function of a text anew at each call, which was
 * half the time of a script for one task. What a library defines begins with `local` at the start of a line.
 */
export function link(parts: readonly string[]): string {
  const statements = parts.slice(0, -1).flatMap((library) => `${library}\n`.split(/^(?=local )/m));
  return statements.reduceRight((text, statement) => {
    const isNeeded = namesDefinedBy(statement).some((name) => new RegExp(`\\b${name}\\b`).test(text));
    return isNeeded ? statement + text : text;
  }, parts.at(-1) ?? '');
}

/** Of `local a, b = …` and `local function a(…)`. */
function namesDefinedBy(statement: string): readonly string[] {
  return (
    /^local (?:function )?([\w, ]+)/
      .exec(statement)?.[1]
      ?.split(', ')
      .map((name) => name.trim()) ?? []
  );
}

/** All scripts, or with other texts in place of some: for tests that show what a change of one would break. */
export function makeScripts(
  change: (name: ScriptName, text: string) => string = (_name, text) => text,
): Readonly<Record<ScriptName, Script>> {
  return Object.fromEntries(
    Object.entries(texts).map(([key, parts]) => {
      const name = key as ScriptName;
      const text = change(name, link(parts));
      return [name, { name, text, sha: createHash('sha1').update(text).digest('hex') }];
    }),
  ) as Record<ScriptName, Script>;
}
