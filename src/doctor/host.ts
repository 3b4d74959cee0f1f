/**
 * What checks ask the host, in one place. A recorded tree of files and answers can stand in for a host that is not there: a machine
 * with `nohz_full`, or with a network card that merges packets.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type CookieHost, thisCookieHost } from '../agent/cookies/host.js';
import { type System, thisSystem } from '../agent/system.js';
import { limitedTool, type RunTool } from '../core/tool.js';
import { isBpffs } from '../pins/directory.js';

/** Of /proc and /sys; longer files are cut. */
const FILE_CHARS_MAX = 4 * 1024 * 1024;
const TOOL_LIMITS = { timeoutMs: 4_000, outputCharsMax: 32 * 1024 * 1024 };

export interface Host extends System, CookieHost {
  /** Names in a directory; none when it cannot be read. */
  list(path: string): string[];
  /** When a file was changed last, in milliseconds since 1970; undefined when there is none. */
  changedAt(path: string): number | undefined;
  readonly run: RunTool;
  /** Whether a path is in a BPF file system. @throws AnyhopError ERR_BPF without permission */
  isBpffs(path: string): boolean;
  /** Processors that this process may use. */
  readonly processors: number;
}

export const thisHost: Host = {
  ...thisSystem,
  ...thisCookieHost,
  read: (path) => quietly(() => readFileSync(path, 'latin1').slice(0, FILE_CHARS_MAX).trim()),
  list: (path) => quietly(() => readdirSync(path)) ?? [],
  changedAt: (path) => quietly(() => statSync(path).mtimeMs),
  run: limitedTool(TOOL_LIMITS),
  isBpffs: (path) => isBpffs(path),
  processors: availableParallelism(),
};

function quietly<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
