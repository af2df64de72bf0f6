/** What the server said about itself when the connection was made, and what follows from it. */
export interface ServerFacts {
  /** `RabbitMQ`, or what else speaks AMQP 0-9-1. */
  readonly product: string;
  readonly version: string;
  /** Quorum queues that expire messages and dead-letter at least once: RabbitMQ 3.10. */
  readonly quorum: boolean;
  /** Whether a queue may have its own consumer timeout: RabbitMQ 3.12. */
  readonly consumerTimeoutPerQueue: boolean;
  /** Priorities of quorum queues: none before 4.0, two classes before 4.3, then strict. */
  readonly quorumPriorities: 'none' | 'two' | 'strict';
  /** What both sides agreed on, in seconds; 0 when the server has heartbeats switched off. */
  readonly heartbeatSeconds: number;
}

/** Reads `serverProperties` of the handshake. */
export function readServerFacts(
  properties: { readonly product?: unknown; readonly version?: unknown },
  heartbeatSeconds: number,
): ServerFacts {
  const product = String(properties.product ?? 'unknown');
  const version = String(properties.version ?? '0');
  const isAtLeast = (major: number, minor: number): boolean => {
    const [hisMajor = 0, hisMinor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
    return product === 'RabbitMQ' && (hisMajor > major || (hisMajor === major && hisMinor >= minor));
  };
  return {
    product,
    version,
    quorum: isAtLeast(3, 10),
    consumerTimeoutPerQueue: isAtLeast(3, 12),
    quorumPriorities: isAtLeast(4, 3) ? 'strict' : isAtLeast(4, 0) ? 'two' : 'none',
    heartbeatSeconds,
  };
}
