/** keepalived in a machine of the lab, with its files in the lab's directory; it logs to its output, and to nowhere else. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { killIfThere } from '../names.js';
import type { LabProcess } from '../process.js';
import type { Resources } from '../resources.js';

export const KEEPALIVED_TOOLS = ['keepalived'];

const READY_TIMEOUT_MS = 10_000;

export interface Keepalived {
  readonly process: LabProcess;
  /** kill -9 of both of its processes, so that neither can say goodbye. */
  kill(): Promise<void>;
}

/** Starts it on a machine; resolves when an instance is master or backup. */
export async function startKeepalived(
  resources: Resources,
  { name, namespace }: { readonly name: string; readonly namespace: string },
  config: string,
): Promise<Keepalived> {
  const of = (kind: string): string => join(resources.directory, `keepalived-${name}.${kind}`);
  writeFileSync(of('conf'), config);
  // Those of one that was killed would keep the next from starting.
  for (const kind of ['pid', 'vrrp.pid']) rmSync(of(kind), { force: true });
  const files = ['-f', of('conf'), '-p', of('pid'), '-r', of('vrrp.pid')];
  const argv = ['keepalived', '-n', '-P', '-l', '-D', '-G', ...files];
  const process = await resources.startProcess(`keepalived ${name}`, namespace, argv);
  const entered = (line: string): boolean => /Entering (MASTER|BACKUP) STATE/.test(line);
  await process.waitForLine(entered, 'state', READY_TIMEOUT_MS);
  return {
    process,
    async kill() {
      const child = Number(readFileSync(of('vrrp.pid'), 'utf8'));
      process.kill();
      killIfThere(child);
      await process.exited;
    },
  };
}
