import type { Outgoing } from './publisher.ts';

const methodFrame = 1;
const headerFrame = 2;
const bodyFrame = 3;
const frameEnd = 0xce;
/** Type, channel and size before the payload, the end behind it. */
const frameStart = 7;
const frameBytes = frameStart + 1;
const basicClass = 60;
const publishMethod = 40;
const mandatoryBit = 1;
const persistent = 2;
/** Bits of the properties in the order in which they follow. */
const flagOf = { contentType: 1 << 15, headers: 1 << 13, deliveryMode: 1 << 12, priority: 1 << 11 } as const;
const laterFlagOf = { expiration: 1 << 8, messageId: 1 << 7, timestamp: 1 << 6, type: 1 << 5 } as const;
const longestShort = 255;
const mostUtf8PerUnit = 3;
const firstBytes = 16_384;

/**
 * Writes messages as frames of AMQP 0-9-1, many of them into one piece of memory: amqplib makes three pieces of each
 * message and hands them to the socket one by one, which costs more than everything else a publish does.
 */
export class FrameWriter {
  readonly #channel: number;
  readonly #frameMax: number;
  #bytes: Buffer = Buffer.allocUnsafe(firstBytes);
  #length = 0;
  /** The method is the same for all messages to one queue. */
  #method: { exchange: string; key: string; bytes: Buffer } = { exchange: '', key: '', bytes: Buffer.alloc(0) };

  /** @param frameMax longest frame the server takes; 0 is any. */
  constructor(channel: number, frameMax: number) {
    this.#channel = channel;
    this.#frameMax = frameMax === 0 ? Number.POSITIVE_INFINITY : frameMax;
  }

  /** Bytes written and not taken. */
  get length(): number {
    return this.#length;
  }

  /** Adds a message. What cannot be written is left out as a whole. @throws RangeError */
  add({ exchange, key, content, options }: Outgoing): void {
    const before = this.#length;
    try {
      this.#addMethod(exchange, key);
      const sizeAt = this.#addHeader(options);
      const size = this.#addBody(content);
      // A size has eight bytes; four are more than a message may have.
      this.#bytes.writeUInt32BE(0, sizeAt);
      this.#bytes.writeUInt32BE(size, sizeAt + 4);
    } catch (error) {
      this.#length = before;
      throw error;
    }
  }

  /** Everything added since the last time. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    // The socket may still read from it.
    this.#bytes = Buffer.allocUnsafe(Math.max(firstBytes, Math.ceil(this.#length * 1.25)));
    this.#length = 0;
    return taken;
  }

  #addMethod(exchange: string, key: string): void {
    if (this.#method.bytes.length === 0 || key !== this.#method.key || exchange !== this.#method.exchange) {
      const start = this.#length;
      this.#need(frameBytes + 9 + mostUtf8PerUnit * (exchange.length + key.length));
      this.#begin(methodFrame);
      this.#short(basicClass);
      this.#short(publishMethod);
      this.#short(0);
      this.#shortText(exchange);
      this.#shortText(key);
      this.#octet(mandatoryBit);
      this.#end(start);
      this.#method = { exchange, key, bytes: Buffer.from(this.#bytes.subarray(start, this.#length)) };
      return;
    }
    const { bytes } = this.#method;
    this.#need(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Returns where the size of the body goes. */
  #addHeader(options: Outgoing['options']): number {
    const { contentType, headers, priority, expiration, messageId, timestamp, type } = options;
    const start = this.#length;
    let most = 128 + mostUtf8PerUnit * ((contentType?.length ?? 0) + (messageId?.length ?? 0) + (type?.length ?? 0));
    for (const name in headers) most += 8 + mostUtf8PerUnit * (name.length + String(headers?.[name]).length);
    this.#need(frameBytes + most);
    this.#begin(headerFrame);
    this.#short(basicClass);
    this.#short(0);
    const sizeAt = this.#length;
    this.#length += 8;
    const flagsAt = this.#length;
    this.#length += 2;
    let flags = flagOf.deliveryMode;
    if (contentType !== undefined) {
      flags |= flagOf.contentType;
      this.#shortText(contentType);
    }
    if (headers !== undefined) {
      flags |= flagOf.headers;
      this.#table(headers as Readonly<Record<string, string>>);
    }
    this.#octet(persistent);
    if (priority !== undefined) {
      flags |= flagOf.priority;
      this.#octet(priority);
    }
    if (expiration !== undefined) {
      flags |= laterFlagOf.expiration;
      this.#shortText(String(expiration));
    }
    if (messageId !== undefined) {
      flags |= laterFlagOf.messageId;
      this.#shortText(messageId);
    }
    if (timestamp !== undefined) {
      flags |= laterFlagOf.timestamp;
      this.#bytes.writeBigUInt64BE(BigInt(timestamp), this.#length);
      this.#length += 8;
    }
    if (type !== undefined) {
      flags |= laterFlagOf.type;
      this.#shortText(type);
    }
    this.#bytes.writeUInt16BE(flags, flagsAt);
    this.#end(start);
    if (this.#length - start > this.#frameMax) throw new RangeError('the headers of a message do not fit into a frame');
    return sizeAt;
  }

  /** Returns its size in bytes. */
  #addBody(content: Buffer | string): number {
    if (content.length === 0) return 0;
    const longest = this.#frameMax - frameBytes;
    if (typeof content === 'string' && content.length * mostUtf8PerUnit <= longest) {
      const start = this.#length;
      this.#need(frameBytes + content.length * mostUtf8PerUnit);
      this.#begin(bodyFrame);
      const size = this.#text(content);
      this.#end(start);
      return size;
    }
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    for (let offset = 0; offset < bytes.length; offset += longest) {
      const start = this.#length;
      const part = bytes.subarray(offset, Math.min(bytes.length, offset + longest));
      this.#need(frameBytes + part.length);
      this.#begin(bodyFrame);
      this.#bytes.set(part, this.#length);
      this.#length += part.length;
      this.#end(start);
    }
    return bytes.length;
  }

  #table(entries: Readonly<Record<string, string>>): void {
    const start = this.#length;
    this.#length += 4;
    for (const name in entries) {
      this.#shortText(name);
      this.#octet(0x53);
      const sizeAt = this.#length;
      this.#length += 4;
      this.#bytes.writeUInt32BE(this.#text(String(entries[name])), sizeAt);
    }
    this.#bytes.writeUInt32BE(this.#length - start - 4, start);
  }

  #begin(type: number): void {
    this.#octet(type);
    this.#short(this.#channel);
    this.#length += 4;
  }

  #end(start: number): void {
    this.#bytes.writeUInt32BE(this.#length - start - frameStart, start + 3);
    this.#octet(frameEnd);
  }

  #shortText(text: string): void {
    const sizeAt = this.#length;
    this.#length += 1;
    const size = this.#text(text);
    if (size > longestShort) throw new RangeError('a name, an id or a key of a message is longer than 255 bytes');
    this.#bytes[sizeAt] = size;
  }

  /** Returns its size in bytes. */
  #text(text: string): number {
    const size = this.#bytes.write(text, this.#length);
    this.#length += size;
    return size;
  }

  #octet(value: number): void {
    this.#bytes[this.#length] = value;
    this.#length += 1;
  }

  #short(value: number): void {
    this.#bytes.writeUInt16BE(value, this.#length);
    this.#length += 2;
  }

  #need(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + more));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
