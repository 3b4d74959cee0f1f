/**
 * Which core a process runs on, whether it goes before others, and the processor time that it has had.
 *
 * Times are those of the scheduler, in nanoseconds: /proc/PID/stat counts ticks of 10 ms, a few hundredths of what a turn takes.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { run } from '../../scripts/lab/command.js';

/** The client, the router, the forwarder, the servers, and anyhop's own processes. */
export const OTHERS_CPU = 0;
/** HAProxy, and what its host receives. */
export const HAPROXY_CPU = 1;
/** Takes what the client sends once the client waits: as many packets at a time as a network card would hand over. */
export const BATCH_PRIORITY = 3;
export const CLIENT_PRIORITY = 4;
/** Before the load that it is beside. */
export const TIMED_PRIORITY = 5;
export const HAPROXY_PRIORITY = 5;
/** As the kernel's own receiving, which interrupts what runs. */
export const RECEIVING_PRIORITY = 6;

let isRealTime: Promise<boolean> | undefined;

/** Whether real-time priorities may be given here: without them, other programs of the machine are in the figures. */
export function mayBeRealTime(): Promise<boolean> {
  isRealTime ??= run(['chrt', '-f', '1', 'true']).then(
    () => true,
    () => false,
  );
  return isRealTime;
}

/** What stands before a command that runs on one core, and at a real-time priority if there is one. */
export async function onCore(cpu: number, priority = 0): Promise<string[]> {
  const first = priority > 0 && (await mayBeRealTime()) ? ['chrt', '-f', String(priority)] : [];
  return [...first, 'taskset', '-c', String(cpu)];
}

/**
 * What stands before a command that goes before other programs of this machine. The scheduler shares the processor among sessions first
 * where it can (sched(7), "autogroup"), and then `nice` means nothing to other sessions.
 */
export const FIRST = [
  'sh',
  '-c',
  '[ ! -e /proc/self/autogroup ] || echo -20 >/proc/self/autogroup; exec nice -n -20 "$0" "$@"',
] as const;

/** The same for the session of a running process. */
export function letGoFirst(pid: number): void {
  const file = `/proc/${pid}/autogroup`;
  if (existsSync(file)) writeFileSync(file, '-20');
}

/** Moves a running process to a core; its threads keep their priority. */
export async function moveTo(pid: number, cpu: number): Promise<void> {
  await run(['taskset', '-a', '-p', '-c', String(cpu), String(pid)]);
}

/** Gives a running process a real-time priority; 0: that of ordinary programs. */
export async function prioritise(pid: number, priority: number): Promise<void> {
  if (!(await mayBeRealTime())) return;
  await run(['chrt', priority === 0 ? '-o' : '-f', '-a', '-p', String(priority), String(pid)]);
}

/** Milliseconds of all threads of a process. */
export function cpuMs(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
    const [ns] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
    return sum + Number(ns) / 1e6;
  }, 0);
}

export function parentOf(pid: number): number {
  return Number(statusOf(pid, 'PPid'));
}

/** Memory that a process has, in MiB. */
export function residentMib(pid: number): number {
  return Number.parseInt(statusOf(pid, 'VmRSS'), 10) / 1024;
}

function statusOf(pid: number, field: string): string {
  const value = new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (value === undefined) throw new Error(`/proc/${pid}/status has no ${field}`);
  return value;
}
