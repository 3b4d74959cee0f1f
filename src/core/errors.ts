/**
 * Errors for users. Each has a stable code (the message may change), says what was wrong and what to do, and carries the exit
 * code of the command that it ends.
 */

/** Exit codes of the command line. */
export const EXIT = {
  ok: 0,
  /** Something failed while running. */
  failure: 1,
  /** The config or the command line is wrong; nothing was changed. */
  usage: 2,
  /** The machine lacks a capability, an interface, a route or a library. */
  environment: 3,
} as const;

export type ErrorCode =
  | 'ERR_CONFIG'
  | 'ERR_USAGE'
  | 'ERR_CAPABILITY'
  | 'ERR_INTERFACE'
  | 'ERR_ADDRESS'
  | 'ERR_ROUTE'
  | 'ERR_VIP_LOCAL'
  | 'ERR_TOOL'
  | 'ERR_NATIVE'
  | 'ERR_CAPTURE_FILE'
  | 'ERR_LIMIT'
  | 'ERR_BPF'
  | 'ERR_ENGINE'
  | 'ERR_SOCKET'
  | 'ERR_STOPPING'
  | 'ERR_REPORT'
  | 'ERR_REFUSED'
  | 'ERR_DRAINING_MARK'
  | 'ERR_STATE_FILE'
  | 'ERR_HAPROXY'
  | 'ERR_STORE'
  | 'ERR_FLEET';

export class AnyhopError extends Error {
  override readonly name = 'AnyhopError';
  readonly code: ErrorCode;
  /** What the user can do, in one sentence; printed on its own line. */
  readonly hint: string | undefined;
  readonly exitCode: number;

  constructor(
    code: ErrorCode,
    message: string,
    options: { hint?: string; exitCode?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.exitCode =
      options.exitCode ?? (code === 'ERR_CONFIG' || code === 'ERR_USAGE' ? EXIT.usage : EXIT.environment);
  }
}

/** The interface is another process's, or what one left there must stay: with any engine, and whatever else it lacks. */
export class InterfaceTaken extends AnyhopError {
  constructor(message: string, hint: string) {
    super('ERR_INTERFACE', message, { hint });
  }
}

/** An error of a system call, such as no free descriptor or a full disk. Callers that can continue without the call do so. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string';
}
