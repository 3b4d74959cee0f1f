/**
 * A config for GoBGP, tried with 3.10.0. It reads no table of the kernel without FRR's zebra: `anyhop announce --feed gobgp`, a service
 * beside it, tells it the rows.
 */
import type { LoadedConfig } from '../../config/types.js';
import { GOBGP_SOCKET_DEFAULT } from '../../core/limits.js';
import { bgpOf, localAddress, type PrintContext, type PrintOptions } from './options.js';

/** @throws AnyhopError ERR_USAGE */
export function gobgpForwarder(
  config: LoadedConfig<'announce'>,
  options: PrintOptions,
  { program }: PrintContext,
): string {
  const { announce, asn, routerId, neighbors, head } = bgpOf(config, options, 'forwarder', 'gobgp');
  return `${head.map((line) => `# ${line}\n`).join('')}#
# GoBGP has no BFD: a process that dies is noticed at once, a machine that hangs after the hold time, 9 seconds.
# Start it so, since its default is an API without a password on all addresses; a socket that a killed one left must go first:
#   rm -f ${GOBGP_SOCKET_DEFAULT}
#   gobgpd -f FILE --pprof-disable --api-hosts=unix://${GOBGP_SOCKET_DEFAULT}
# Beside it, as a service of its own that is always restarted:
#   ${program} announce --feed gobgp --table ${announce.table} --drain-metric ${announce.drainMetric} --gobgp-socket ${GOBGP_SOCKET_DEFAULT}
# All host routes that this gobgpd originates are this service's. It runs a command for each VIP: a thousand take seconds.

[global.config]
  as = ${asn}
  router-id = "${routerId}"
  # No listener: it connects to the routers, and needs no capability.
  port = -1

# Nothing is taken from a router, or it would be told to the others.
[[defined-sets.neighbor-sets]]
  neighbor-set-name = "routers"
  neighbor-info-list = [${neighbors.map(({ address }) => `"${address.text}"`).join(', ')}]
[[policy-definitions]]
  name = "nothing-in"
  [[policy-definitions.statements]]
    [policy-definitions.statements.conditions.match-neighbor-set]
      neighbor-set = "routers"
    [policy-definitions.statements.actions]
      route-disposition = "reject-route"
[global.apply-policy.config]
  import-policy-list = ["nothing-in"]
${neighbors
  .map(
    ({ address: { family, text }, asn: theirs }) => `
[[neighbors]]
  [neighbors.config]
    neighbor-address = "${text}"
    peer-as = ${theirs}
${options.localAddresses?.some((each) => each.family === family) ? `  [neighbors.transport.config]\n    local-address = "${localAddress(config, options, family).text}"\n` : ''}  [neighbors.timers.config]
    connect-retry = 5
    idle-hold-time-after-reset = 1
    hold-time = 9
    keepalive-interval = 3
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv${family}-unicast"
`,
  )
  .join('')}`;
}
