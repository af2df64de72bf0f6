import { type ConfirmChannel, connect } from 'amqplib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rawPublishing } from '../src/connection.ts';
import type { Outgoing } from '../src/publisher.ts';
import { serverUrl } from './harness.ts';

let channel: ConfirmChannel;
let close: () => Promise<void>;

beforeAll(async () => {
  const connection = await connect(serverUrl);
  channel = await connection.createConfirmChannel();
  close = () => connection.close();
});

afterAll(() => close());

/** What amqplib would send. */
function writtenByAmqplib({ exchange, key, content, options }: Outgoing): Buffer {
  const { ch, connection } = channel as unknown as {
    readonly ch: number;
    readonly connection: { readonly channels: { buffer: { write(bytes: Buffer): boolean } }[] };
  };
  const place = connection.channels[ch];
  if (place === undefined) throw new Error('the channel is closed');
  const { buffer } = place;
  const written: Buffer[] = [];
  place.buffer = { write: (bytes) => written.push(bytes) > 0 };
  try {
    Object.getPrototypeOf(Object.getPrototypeOf(channel)).publish.call(
      channel,
      exchange,
      key,
      Buffer.from(content),
      options,
    );
  } finally {
    place.buffer = buffer;
  }
  return Buffer.concat(written);
}

const options = {
  persistent: true,
  mandatory: true,
  messageId: 'a',
  type: 'work',
  priority: 4,
  timestamp: 1_795_000_000,
};
const headers = { 'x-millrace': '{"v":1}' };

const messages: readonly (readonly [string, Outgoing])[] = [
  [
    'with a text',
    {
      exchange: '',
      key: 'n.q.line',
      content: '{"a":1}',
      options: { ...options, contentType: 'application/json', headers },
    },
  ],
  ['with nothing', { exchange: '', key: 'n.q.line', content: '', options: { ...options, headers } }],
  [
    'with more than one byte per letter',
    {
      exchange: 'é',
      key: 'ключ.🚀',
      content: '"🚀é"',
      options: { ...options, messageId: '🚀', headers: { ключ: '🚀'.repeat(100), second: '' } },
    },
  ],
  [
    'that expires',
    { exchange: 'x', key: 'y', content: Buffer.from([0, 255]), options: { ...options, expiration: '60000', headers } },
  ],
  [
    'longer than a frame',
    { exchange: '', key: 'n.q.line', content: 'é'.repeat(200_000), options: { ...options, headers } },
  ],
  [
    'of bytes longer than a frame',
    { exchange: '', key: 'n.q.line', content: Buffer.alloc(131_072, 7), options: { ...options, headers } },
  ],
];

describe('a message is written byte for byte as amqplib writes it', () => {
  for (const [what, message] of messages) {
    it(what, () => {
      const { frames } = rawPublishing(channel);
      frames.add(message);
      expect(frames.take().equals(writtenByAmqplib(message))).toBe(true);
    });
  }

  it('many of them behind each other', () => {
    const { frames } = rawPublishing(channel);
    const many = [...messages, ...messages].map(([, message]) => message);
    for (const message of many) frames.add(message);
    expect(frames.take().equals(Buffer.concat(many.map(writtenByAmqplib)))).toBe(true);
    expect(frames.length).toBe(0);
  });

  it('and what does not fit is left out as a whole', () => {
    const { frames } = rawPublishing(channel);
    const [, first] = messages[0] as (typeof messages)[number];
    frames.add(first);
    expect(() => frames.add({ ...first, options: { ...options, messageId: 'é'.repeat(128) } })).toThrow(RangeError);
    expect(() => frames.add({ ...first, options: { ...options, headers: { big: 'x'.repeat(200_000) } } })).toThrow(
      RangeError,
    );
    expect(frames.take().equals(writtenByAmqplib(first))).toBe(true);
  });
});
