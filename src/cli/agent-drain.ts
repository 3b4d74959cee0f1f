/**
 * `anyhop agent --drain` and `--undrain`: make and remove the mark by which this host asks the forwarders to drain it, for each of its
 * addresses that the config has as a backend's. --wait follows the agent's report until all forwarders drain it and no connection is left.
 */
import { mark, markPath, unmark } from '../agent/draining-mark.js';
import { haveAllFollowed } from '../agent/followed.js';
import { type AgentReport, fetchAgentReport } from '../agent/report.js';
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { amount } from '../core/figures.js';
import { ownAddresses } from './agent-report.js';
import { writeOut, writeResult } from './output.js';
import { ProgressLine } from './progress-line.js';

const AUTHOR = 'anyhop agent --drain';
const ASK_INTERVAL_MS = 1_000;
const ANSWER_TIMEOUT_MS = 5_000;
/** Long enough for a restart of the agent. */
const SILENCE_MS_MAX = 60_000;
/** None is left when two answers so far apart say so: a count can be a second old. */
const CONFIRM_MS = 1_500;

interface DrainOptions {
  readonly wait: boolean;
  readonly json: boolean;
}

/** How far the drain of one address has come. */
interface HostDrain {
  readonly address: string;
  /** Forwarders that drain it, and all that the agent hears. */
  readonly followed: number;
  readonly forwarders: number;
  /** TCP connections of the host to its VIPs. */
  readonly connections: number;
  /** All forwarders drain it, and no connection is left. */
  readonly drained: boolean;
}

/** @throws AnyhopError ERR_ADDRESS when this host is no backend of the config, ERR_DRAINING_MARK, ERR_REPORT when no agent answers */
export async function drainHost(
  config: LoadedConfig<'agent'>,
  { wait, json }: DrainOptions,
): Promise<number> {
  const { runDirectory } = config.agent;
  const marks = ownAddresses(config).map((address) => ({
    address: address.text,
    mark: markPath(runDirectory, address),
    made: mark(runDirectory, address, AUTHOR),
  }));
  const text = marks
    .map((one) => `${one.address}: ${one.made ? 'asks' : 'already asks'} to be drained (${one.mark})\n`)
    .join('');
  if (!wait) {
    writeResult(json, { marks }, () => text);
    return EXIT.ok;
  }
  if (!json) writeOut(text);
  const drains = await follow(config);
  writeResult(json, { marks, drains }, () => drains.map((one) => `${drawDrain(one)}\n`).join(''));
  return drains.every(({ drained }) => drained) ? EXIT.ok : EXIT.failure;
}

/** @throws AnyhopError as `drainHost` */
export function undrainHost(config: LoadedConfig<'agent'>, json: boolean): number {
  const { runDirectory } = config.agent;
  const marks = ownAddresses(config).map((address) => ({
    address: address.text,
    mark: markPath(runDirectory, address),
    removed: unmark(runDirectory, address),
  }));
  writeResult(json, { marks }, () =>
    marks
      .map(
        ({ address, removed }) => `${address}: ${removed ? 'no longer asks' : 'did not ask'} to be drained\n`,
      )
      .join(''),
  );
  return EXIT.ok;
}

/** Until all is drained, or for as long as a drain may last. */
async function follow(config: LoadedConfig<'agent'>): Promise<readonly HostDrain[]> {
  const addresses = ownAddresses(config).map(({ text }) => text);
  const deadlineMs = performance.now() + longestDrainMs(config, new Set(addresses));
  const line = new ProgressLine();
  let answeredAtMs = performance.now();
  let doneSinceMs: number | undefined;
  for (;;) {
    const askedMs = performance.now();
    const reports = await answers(addresses, config.agent.reportPort, askedMs - answeredAtMs);
    if (reports !== undefined) {
      answeredAtMs = askedMs;
      const drains = reports.map((report, i) => drainOf(addresses[i]!, report));
      doneSinceMs = drains.every(({ drained }) => drained) ? (doneSinceMs ?? askedMs) : undefined;
      line.clear();
      if (doneSinceMs !== undefined && askedMs - doneSinceMs >= CONFIRM_MS) return drains;
      if (askedMs >= deadlineMs) return drains.map((drain) => ({ ...drain, drained: false }));
      line.show(drains.map((drain) => drawDrain(drain)).join('; '));
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_INTERVAL_MS));
  }
}

/** @throws AnyhopError when no agent has answered for too long, after `silentMs` of silence */
async function answers(
  addresses: readonly string[],
  port: number,
  silentMs: number,
): Promise<readonly AgentReport[] | undefined> {
  try {
    return await Promise.all(addresses.map((address) => fetchAgentReport(address, port, ANSWER_TIMEOUT_MS)));
  } catch (error) {
    if (!(error instanceof AnyhopError) || silentMs > SILENCE_MS_MAX) throw error;
    return undefined;
  }
}

/** Of the pools that have one of these addresses. */
function longestDrainMs({ pools }: LoadedConfig<'agent'>, addresses: ReadonlySet<string>): number {
  return pools
    .filter(({ backends }) => backends.some(({ address }) => addresses.has(address.text)))
    .reduce((most, { drainDeadlineMs }) => Math.max(most, drainDeadlineMs), 0);
}

function drainOf(address: string, report: AgentReport): HostDrain {
  const connections = report.vips.reduce((sum, { established }) => sum + established, 0);
  return {
    address,
    followed: report.forwarders.filter(({ draining }) => draining).length,
    forwarders: report.forwarders.length,
    connections,
    drained: haveAllFollowed(report) && connections === 0,
  };
}

/** `10.1.0.12: 1 of 2 forwarders drain it, 12 connections left` */
function drawDrain({ address, followed, forwarders, connections, drained }: HostDrain): string {
  if (drained) return `${address}: drained by ${amount(forwarders, 'forwarder')}, no connection is left`;
  const follows =
    forwarders === 0
      ? 'no forwarder has asked'
      : `${followed} of ${amount(forwarders, 'forwarder')} drain it`;
  return `${address}: ${follows}, ${amount(connections, 'connection')} left`;
}
