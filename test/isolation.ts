/** Whether tests that touch the network can run here; if not, why, which is the reason that they print when skipped. */
import { spawnSync } from 'node:child_process';

const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;

export function isInstalled(tool: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${tool}`], { env: { PATH } }).status === 0;
}

/** False when all is there: the value of a test's `skip`. */
export function missingForIsolation(...tools: string[]): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  const missing = ['ip', ...tools].filter((tool) => !isInstalled(tool));
  return missing.length > 0 && `needs ${missing.join(', ')}`;
}

/**
 * A command before another one, in a namespace of the lab: /run is empty but for the directory that RuntimeDirectory= of a unit makes,
 * and belongs to this user.
 */
export function withRuntimeDirectory(user: number, name = 'anyhop'): string[] {
  const script = `mount -t tmpfs tmpfs /run && install -d -o "$0" /run/${name} && exec "$@"`;
  return ['sh', '-c', script, String(user)];
}
