/**
 * A config for ExaBGP, tried with 4.2.21. It reads no table of the kernel: `anyhop announce --feed exabgp`, which it starts itself, tells
 * it the rows.
 */
import type { LoadedConfig } from '../../config/types.js';
import { bgpOf, localAddress, type PrintContext, type PrintOptions } from './options.js';

/** @throws AnyhopError ERR_USAGE */
export function exabgpForwarder(
  config: LoadedConfig<'announce'>,
  options: PrintOptions,
  { program }: PrintContext,
): string {
  const { announce, asn, routerId, neighbors, head } = bgpOf(config, options, 'forwarder', 'exabgp');
  const feed = [
    `${program} announce --feed exabgp --table ${announce.table} --drain-metric ${announce.drainMetric}`,
    ...neighbors.map(({ address }) => `--neighbor ${address.text}`),
  ];
  return `${head.map((line) => `# ${line}\n`).join('')}#
# ExaBGP has no BFD: a process that dies is noticed at once, a machine that hangs after the hold time, 9 seconds.
# Start it with these settings (/etc/exabgp/exabgp.env, or the environment):
#   exabgp.api.ack=false   exabgp.api.cli=false   exabgp.daemon.daemonize=false
# Do not add "respawn false": routes would stay when the process below has died.

process anyhop {
  run ${feed.join(' ')};
  encoder text;
}
${neighbors
  .map(
    ({ address: { family, text }, asn: theirs }) => `
neighbor ${text} {
  router-id ${routerId};
  local-address ${localAddress(config, options, family).text};
  local-as ${asn};
  peer-as ${theirs};
  hold-time 9;
  group-updates true;
  family {
    ipv${family} unicast;
  }
  api {
    processes [ anyhop ];
  }
}
`,
  )
  .join('')}`;
}
