/** Every check, in the order in which the doctor tells of them: what stops everything first. */
import type { Check } from './check.js';
import { agent } from './checks/agent.js';
import { agents } from './checks/agents.js';
import { arp } from './checks/arp.js';
import { backends } from './checks/backends.js';
import { bpffs } from './checks/bpffs.js';
import { capabilities } from './checks/capabilities.js';
import { checksums } from './checks/checksums.js';
import { clock } from './checks/clock.js';
import { config } from './checks/config.js';
import { conntrack } from './checks/conntrack.js';
import { cookieHost } from './checks/cookie-host.js';
import { cookies } from './checks/cookies.js';
import { descriptors } from './checks/descriptors.js';
import { driver } from './checks/driver.js';
import { ecmpHash } from './checks/ecmp-hash.js';
import { firewall } from './checks/firewall.js';
import { interrupts } from './checks/interrupts.js';
import { ipForward } from './checks/ip-forward.js';
import { kernel } from './checks/kernel.js';
import { key } from './checks/key.js';
import { link } from './checks/link.js';
import { listeners } from './checks/listeners.js';
import { lists } from './checks/lists.js';
import { lockedMemory } from './checks/locked-memory.js';
import { node } from './checks/node.js';
import { offloads } from './checks/offloads.js';
import { pathMtu } from './checks/path-mtu.js';
import { program } from './checks/program.js';
import { queues } from './checks/queues.js';
import { redirect } from './checks/redirect.js';
import { rings } from './checks/rings.js';
import { routes } from './checks/routes.js';
import { rpFilter } from './checks/rp-filter.js';
import { siblings } from './checks/siblings.js';
import { syncookies } from './checks/syncookies.js';
import { tier } from './checks/tier.js';
import { tunnel } from './checks/tunnel.js';
import { txrehash } from './checks/txrehash.js';
import { veth } from './checks/veth.js';
import { vipAlone } from './checks/vip-alone.js';
import { vipHere } from './checks/vip-here.js';
import { vipLoop } from './checks/vip-loop.js';
import { vipNotHere } from './checks/vip-not-here.js';

export const CHECKS: readonly Check[] = [
  link,
  // Processes and programs.
  node,
  agent,
  program,
  tunnel,
  veth,
  redirect,
  key,
  siblings,
  config,
  lists,
  // The way.
  agents,
  routes,
  pathMtu,
  backends,
  cookies,
  vipHere,
  vipAlone,
  vipLoop,
  vipNotHere,
  listeners,
  cookieHost,
  tier,
  firewall,
  arp,
  rpFilter,
  ipForward,
  ecmpHash,
  // The host.
  capabilities,
  bpffs,
  kernel,
  lockedMemory,
  descriptors,
  offloads,
  driver,
  queues,
  rings,
  interrupts,
  checksums,
  conntrack,
  syncookies,
  txrehash,
  clock,
];
