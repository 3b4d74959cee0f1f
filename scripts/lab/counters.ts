/**
 * What the router saw: nftables counters on its ports. A witness that does not depend on what anyhop counts itself, nor
 * on which engine moves the packets.
 */
import { inNamespace, run } from './command.js';
import { VIP4, VIP6 } from './topology.js';

/** Packets seen at one port of the router. */
export interface PortCounts {
  /** To a VIP, out of this port: what ECMP handed to a forwarder. */
  readonly toVip: number;
  /** TCP SYNs among them: one a connection, were there no retransmission. */
  readonly syn: number;
  /** GRE out of this port: what reached a backend. */
  readonly gre: number;
  /** TCP from a VIP, into this port: answers of a backend; 0 at a forwarder. */
  readonly fromVip: number;
}

const KINDS = ['toVip', 'syn', 'gre', 'fromVip'] as const;

/** Starts counting at these ports of the router. */
export async function installCounters(router: string, ports: readonly string[]): Promise<void> {
  const counters = ports.flatMap((port) => KINDS.map((kind) => `counter ${port}.${kind} { }`));
  const rules = ports.flatMap((port) => [
    ...bothVersions((ip, vip) => `oifname "${port}" ${ip} daddr ${vip} counter name ${port}.toVip`),
    ...bothVersions(
      (ip, vip) =>
        `oifname "${port}" ${ip} daddr ${vip} tcp flags & (fin|syn|rst|ack) == syn counter name ${port}.syn`,
    ),
    `oifname "${port}" meta l4proto gre counter name ${port}.gre`,
    ...bothVersions(
      (ip, vip) => `iifname "${port}" ${ip} saddr ${vip} meta l4proto tcp counter name ${port}.fromVip`,
    ),
  ]);
  const table = `table inet lab {
${counters.join('\n')}
chain forward {
type filter hook forward priority filter; policy accept;
${rules.join('\n')}
}
}
`;
  await run(inNamespace(router, ['nft', '-f', '-']), { input: table });
}

/** The counts so far, by port. */
export async function readCounters(router: string): Promise<Map<string, PortCounts>> {
  const listed = JSON.parse(
    await run(inNamespace(router, ['nft', '-j', 'list', 'counters', 'table', 'inet', 'lab'])),
  );
  const ports = new Map<string, PortCounts>();
  for (const { counter } of listed.nftables) {
    if (counter === undefined) continue;
    const [port, kind] = counter.name.split('.');
    const counts = ports.get(port) ?? { toVip: 0, syn: 0, gre: 0, fromVip: 0 };
    ports.set(port, { ...counts, [kind]: counter.packets });
  }
  return ports;
}

function bothVersions(rule: (ip: string, vip: string) => string): string[] {
  return [rule('ip', VIP4), rule('ip6', VIP6)];
}
