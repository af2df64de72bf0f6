/** The user, or the system, has told the process to end. */
export interface Interruption {
  readonly signal: AbortSignal;
  /** 130 after Ctrl-C, 143 after SIGTERM, as shells have it. */
  readonly exitCode: number;
  off(): void;
}

const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

/** Watches for Ctrl-C and SIGTERM. A second one does not wait any longer; the tasks come back by themselves then. */
export function watchInterruption(): Interruption {
  const controller = new AbortController();
  let exitCode = 0;
  const onSignal = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(exitCode);
    exitCode = exitCodes[name as keyof typeof exitCodes];
    controller.abort();
  };
  for (const name of Object.keys(exitCodes)) process.on(name, onSignal);
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    off: () => {
      for (const name of Object.keys(exitCodes)) process.off(name, onSignal);
    },
  };
}
