/**
 * The placement of every connection at one moment: through which forwarder the router sends it, and to whom that forwarder's table
 * gives its slot. What an event puts at risk are the connections that it places anew.
 */
import type { NodeStatus } from '#anyhop/api/status.js';
import { FLOW_WORDS, flowHash, slotOf } from '#anyhop/hash/flow.js';
import { deriveFlowKey, type FlowKey } from '#anyhop/hash/key.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { resolvePool } from '#anyhop/table/resolve.js';
import { LAB_KEY } from '../lab/config.js';
import { clientAddresses, VIP4, VIP6 } from '../lab/topology.js';
import type { FlowName } from './journal.js';
import { SERVICE_PORT } from './traffic.js';

export class Placement {
  readonly #flows: ReadonlyMap<string, ReadonlySet<FlowName>>;
  readonly #tables: ReadonlyMap<string, OwnerTable>;

  /** @param statuses of the nodes that run, by the forwarder's name */
  constructor(flows: ReadonlyMap<string, ReadonlySet<FlowName>>, statuses: ReadonlyMap<string, NodeStatus>) {
    this.#flows = flows;
    this.#tables = new Map([...statuses].map(([name, status]) => [name, ownerTable(status)]));
  }

  /** Undefined for a connection that has sent nothing for a second. */
  forwarder(flow: FlowName): string | undefined {
    for (const [name, flows] of this.#flows) if (flows.has(flow)) return name;
    return undefined;
  }

  /** By the table of `forwarder`; undefined when that does not run. */
  owner(flow: FlowName, forwarder: string): string | undefined {
    const table = this.#tables.get(forwarder);
    return table?.names[table.owners[slotOf(hashOf(flow), table.owners.length)]!];
  }

  /** By the table of whichever forwarder runs. */
  ownerAnywhere(flow: FlowName): string | undefined {
    return this.owner(flow, [...this.#tables.keys()][0] ?? '');
  }
}

interface OwnerTable {
  readonly names: readonly string[];
  readonly owners: Uint16Array;
}

/** Few pool states come up in a run, each on several nodes and at several moments; a table takes 10 ms. */
const tables = new Map<string, OwnerTable>();

/** Owners follow from members and marks, which the node tells, by the same pure function; its digest says so. */
function ownerTable({ node, pools }: NodeStatus): OwnerTable {
  const [{ backends, slots, panicThreshold, digests }] = pools as [NodeStatus['pools'][0]];
  const known = tables.get(digests.owners);
  if (known !== undefined) return known;
  const state = backends.map(({ name, weight, state, health }) => ({ name, weight, state, health }));
  const table = resolvePool({ slots, state, remembered: [], panicThreshold });
  if (table.ownersDigest !== digests.owners)
    throw new Error(`${node}: its table is not the one that follows from its status`);
  tables.set(digests.owners, table);
  return table;
}

const CLIENT = clientAddresses();
const FAMILIES = {
  4: family(CLIENT.host4, VIP4),
  6: family(CLIENT.host6, VIP6),
};

function family(client: string, vip: string): { source: Uint8Array; key: FlowKey } {
  const secret = Buffer.from(LAB_KEY, 'hex');
  return {
    source: parseAddress(client)!.bytes,
    key: deriveFlowKey(secret, '5-tuple', 'tcp', parseAddress(vip)!),
  };
}

/** Of the packets to the VIP: src/hash/flow.ts has the layout. */
function hashOf(flow: FlowName): number {
  const [version, port] = flow.split(' ') as ['4' | '6', string];
  const { source, key } = FAMILIES[version];
  const bytes = new Uint8Array(source.length + 4);
  bytes.set(source);
  const view = new DataView(bytes.buffer);
  view.setUint16(source.length, Number(port));
  view.setUint16(source.length + 2, SERVICE_PORT);
  const words = new Int32Array(FLOW_WORDS);
  const count = bytes.length / 4;
  for (let i = 0; i < count; i++) words[i] = view.getInt32(4 * i, true);
  return flowHash(key, 0, words, count);
}
