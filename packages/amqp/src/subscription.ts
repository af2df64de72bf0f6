/** What the server may send by one consumer tag: its size when nothing of it is out, less with every delivery. */
export class Subscription {
  readonly tag: string;
  readonly size: number;
  /** Acknowledgements refill it: it is not cancelled when its credit is used up. */
  kept: boolean;
  /** Messages the server may still send by it. */
  credit: number;
  /** Messages it has brought so far. */
  received = 0;

  constructor(tag: string, size: number, kept = false) {
    this.tag = tag;
    this.size = size;
    this.kept = kept;
    this.credit = size;
  }

  /** What it has brought when everything acknowledged so far was applied, and there is no lack of messages. */
  get most(): number {
    return this.received + this.credit;
  }
}
