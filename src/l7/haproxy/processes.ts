/**
 * `show proc` of the master CLI: the only place where HAProxy 2.6 says how a reload went.
 *
 *     #<PID>          <type>          <reloads>       <uptime>        <version>
 *     3047            master          2 [failed: 1]   0d00h00m40s     2.6.12-1+deb12u3
 *     # workers
 *     4006            worker          1               0d00h00m14s     2.6.12-1+deb12u3
 *     # old workers
 *     # programs
 *
 * A reload that worked leaves a new worker with 0 reloads. After one that failed the former worker is still the current one, has
 * one reload more, and the master counts a failure ("wait mode").
 */

export interface HaproxyProcess {
  readonly pid: number;
  /** Reloads of the master since this process started, those that failed included. */
  readonly reloads: number;
  readonly version: string;
}

export interface HaproxyProcesses {
  readonly master: HaproxyProcess & {
    /** Reloads in a row that failed. */
    readonly failedReloads: number;
  };
  readonly workers: readonly HaproxyProcess[];
  /** They serve the connections that they have, and take no new ones. */
  readonly oldWorkers: readonly HaproxyProcess[];
}

const ROW =
  /^([1-9]\d{0,9})\s+(master|worker)\s+(\d{1,10})(?:\s+\[failed: (\d{1,10})\])?\s+\d+d\d\dh\d\dm\d\ds\s+(\S{1,64})\s*$/;
const SECTION = /^# (.*\S)\s*$/;

/** @returns undefined when the answer is of another form */
export function readProcesses(answer: string): HaproxyProcesses | undefined {
  let master: HaproxyProcesses['master'] | undefined;
  const workers: HaproxyProcess[] = [];
  const oldWorkers: HaproxyProcess[] = [];
  let section = '';
  for (const line of answer.split('\n')) {
    section = SECTION.exec(line)?.[1] ?? section;
    const row = ROW.exec(line);
    if (row === null) continue;
    const [, pid, type, reloads, failed = '0', version = ''] = row;
    const found = { pid: Number(pid), reloads: Number(reloads), version };
    if (type === 'master') master ??= { ...found, failedReloads: Number(failed) };
    else if (section === 'workers') workers.push(found);
    else if (section === 'old workers') oldWorkers.push(found);
  }
  return master === undefined ? undefined : { master, workers, oldWorkers };
}
