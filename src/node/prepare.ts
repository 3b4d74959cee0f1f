/**
 * The first phase of a node: what must hold on this host, and what the process before this one left to remember. Nothing on the
 * host is changed, so a failure leaves nothing behind.
 */
import type { LoadedConfig } from '../config/types.js';
import { readClocks } from '../core/clock.js';
import type { Logger } from '../core/log.js';
import type { PoolMemory } from '../pool/membership.js';
import { type Link, requireEthernetLink } from '../underlay/link.js';
import { requireOffLink } from '../underlay/on-link.js';
import { OwnMacs } from '../underlay/own-macs.js';
import { withSources } from './memory.js';
import { type StopSignals, stopSignals } from './signals.js';
import { StateStore } from './state-store.js';
import { VipGuard } from './vip-guard.js';

export interface Host {
  readonly link: Link;
  readonly macs: OwnMacs;
  readonly vipGuard: VipGuard;
  readonly stop: StopSignals;
  readonly store: StateStore;
  readonly memory: ReadonlyMap<string, PoolMemory>;
}

/** @throws AnyhopError when the host lacks something, or must not run this config */
export async function prepareHost(config: LoadedConfig<'run'>, log: Logger): Promise<Host> {
  const { node } = config;
  const link = await requireEthernetLink(node.interface);
  await requireOffLink(node.source4);
  const macs = new OwnMacs(node.interface, link.mac, log);
  await macs.refresh();
  const vipGuard = new VipGuard(log);
  await vipGuard.permit(config);
  const stop = stopSignals();
  const store = new StateStore(node.stateDirectory, node.name, log, readClocks);
  const memory = withSources(await store.read(), node, log);
  return { link, macs, vipGuard, stop, store, memory };
}
