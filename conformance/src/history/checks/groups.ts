import type { CheckContext } from '../check-context.ts';
import type { Operation } from '../operation.ts';
import { acceptedEnqueue } from '../task-facts.ts';
import type { TaskHistory } from '../task-history.ts';

/** H16: tasks of one group start in order, each after the last start of the one before. */
export function checkGroups(context: CheckContext): void {
  if (!context.options.capabilities.groups) return;
  const groups = new Map<string, { readonly task: TaskHistory; readonly enqueue: Operation }[]>();
  for (const task of context.timeline.tasks) {
    if (task.unclear) continue;
    const enqueue = acceptedEnqueue(task);
    const group = enqueue?.args.group;
    if (enqueue === undefined || group === undefined || task.controls.length > 0) continue;
    const place = `${enqueue.queue}\0${group}`;
    const list = groups.get(place);
    if (list === undefined) groups.set(place, [{ task, enqueue }]);
    else list.push({ task, enqueue });
  }
  for (const members of groups.values()) {
    members.sort((a, b) => a.enqueue.invoke - b.enqueue.invoke);
    for (let index = 1; index < members.length; index++) {
      const before = members[index - 1] as (typeof members)[number];
      const after = members[index] as (typeof members)[number];
      if (before.enqueue.return >= after.enqueue.invoke) continue;
      const last = before.task.claims.at(-1);
      const [first] = after.task.claims;
      if (last === undefined || first === undefined) continue;
      context.saw('H16');
      if (last.invoke <= first.return) continue;
      context.fail('H16', after.task, [
        { what: before.enqueue },
        { what: after.enqueue },
        { what: first, wrong: `${before.task.id} of the same group was not through` },
        { what: last },
      ]);
    }
  }
}
