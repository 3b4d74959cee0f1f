/**
 * What the agent's XDP program must know, from the config: the entries of its maps, whose layouts stand in
 * native/include/anyhop/agent.h. Pure, so that the tests fill the program's maps by the very same code.
 */
import { L } from '../core/layout.gen.js';
import { type IpAddress, type IpPrefix, parsePrefix } from '../packet/address.js';
import type { Fleet, Served } from './fleet.js';

export type MapEntry = readonly [key: Buffer, value: Buffer];

export interface AgentTables {
  readonly sources: readonly MapEntry[];
  readonly locals: readonly MapEntry[];
  readonly vips: readonly MapEntry[];
  readonly ports: readonly MapEntry[];
}

/** @param locals the backends' addresses that are this host's own */
export function agentTables(
  { forwarders, backends, services }: Pick<Fleet, 'forwarders' | 'backends' | 'services'>,
  locals: readonly IpAddress[],
): AgentTables {
  const peers = backends.map((address) => parsePrefix(address.text)!);
  return {
    sources: [...forwarders, ...peers].map((prefix) => [sourceKey(prefix), u32(1)]),
    locals: locals.map((address) => [addressKey(address), u32(1)]),
    ...serviceTables(services),
  };
}

/** The VIPs of the services, each once, in the order of their numbers. */
export function vipsOf(services: readonly Served[]): IpAddress[] {
  return [...new Map(services.map(({ vip }) => [vip.text, vip])).values()];
}

/** Row 0 of `ports` stays empty; each VIP and protocol that has services gets a row of its own. */
function serviceTables(services: readonly Served[]): Pick<AgentTables, 'vips' | 'ports'> {
  const ports: MapEntry[] = [];
  const vips = new Map(
    vipsOf(services).map((vip, number): [string, MapEntry] => {
      const value = Buffer.alloc(L.SIZEOF_AGENT_VIP);
      value.writeUInt32LE(number, L.AGENT_VIP_NUMBER);
      return [vip.text, [addressKey(vip), value]];
    }),
  );
  for (const { vip, protocol, portFirst, portLast } of services) {
    const entry = vips.get(vip.text)!;
    const field = protocol === 'tcp' ? L.AGENT_VIP_TCP_ROW : L.AGENT_VIP_UDP_ROW;
    if (entry[1].readUInt32LE(field) === 0) {
      ports.push([u32(ports.length + 1), Buffer.alloc(L.SIZEOF_AGENT_PORTS)]);
      entry[1].writeUInt32LE(ports.length, field);
    }
    const [, bits] = ports[entry[1].readUInt32LE(field) - 1];
    // Bit p % 32 of a little-endian word p / 32 is bit p % 8 of byte p / 8.
    for (let port = portFirst; port <= portLast; port++) {
      bits[L.AGENT_PORTS_WORDS + (port >> 3)] |= 1 << (port & 7);
    }
  }
  return { vips: [...vips.values()], ports };
}

function sourceKey(prefix: IpPrefix): Buffer {
  const key = Buffer.alloc(L.SIZEOF_AGENT_SOURCE);
  key.writeUInt32LE(L.AGENT_FAMILY_BITS + prefix.length, L.AGENT_SOURCE_BITS);
  key.writeUInt32LE(prefix.address.family, L.AGENT_SOURCE_FAMILY);
  key.set(prefix.address.bytes, L.AGENT_SOURCE_ADDRESS);
  return key;
}

function addressKey(address: IpAddress): Buffer {
  const key = Buffer.alloc(L.SIZEOF_AGENT_ADDRESS);
  key.writeUInt32LE(address.family, L.AGENT_ADDRESS_FAMILY);
  key.set(address.bytes, L.AGENT_ADDRESS_ADDRESS);
  return key;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
