import { errorOutcome } from './error-outcome.ts';
import type { EventFields, RecordedCall, RecordedMark } from './event.ts';
import type { OpenCall, Recorder } from './recorder.ts';

/** A recorder together with the role it records for. */
export class RecordedRole {
  readonly #recorder: Recorder;
  readonly #role: string;

  constructor(recorder: Recorder, role: string) {
    this.#recorder = recorder;
    this.#role = role;
  }

  epoch(): number {
    return this.#recorder.epoch();
  }

  note(op: RecordedMark, fields?: EventFields): void {
    this.#recorder.note(this.#role, op, fields);
  }

  begin(op: RecordedCall, fields?: EventFields): OpenCall {
    return this.#recorder.begin(this.#role, op, fields);
  }

  /** Records a call whose answer has no parts. */
  async whole<T>(
    op: RecordedCall,
    fields: EventFields,
    run: () => Promise<T>,
    tell: (result: T) => EventFields = () => ({}),
  ): Promise<T> {
    const call = this.begin(op, fields);
    return this.#settled([call], run, (result) => call.answer('ok', tell(result)));
  }

  /** Records a call about several tasks, a pair of lines for each. */
  async each<T>(
    calls: readonly OpenCall[],
    run: () => Promise<readonly T[]>,
    tell: (part: T, index: number) => { readonly outcome: string; readonly fields?: EventFields },
  ): Promise<T[]> {
    const parts = await this.#settled(calls, run, (answered) => {
      for (const [index, call] of calls.entries()) {
        const part = answered[index];
        // Too few answers are what they look like: no answer.
        if (part === undefined && !(index in answered)) continue;
        const { outcome, fields } = tell(part as T, index);
        call.answer(outcome, fields);
      }
    });
    return [...parts];
  }

  async #settled<T>(calls: readonly OpenCall[], run: () => Promise<T>, onResult: (result: T) => void): Promise<T> {
    let result: T;
    try {
      result = await run();
    } catch (error) {
      for (const call of calls) call.answer(errorOutcome(error));
      throw error;
    }
    onResult(result);
    return result;
  }
}
