/**
 * The fleets of former configs outlive the agent as the program does: one JSON text in a pinned map. It is written before a config
 * comes into force, so that an agent that is killed at any moment leaves no id free that a packet may still mean.
 */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { MappedArray } from '../ffi/map.js';
import { parseAddress, parsePrefix } from '../packet/address.js';
import { entries } from '../pins/directory.js';
import type { Fleet } from './fleet.js';
import { FleetHistory } from './fleet-history.js';

export const FLEET_PIN = 'fleet';

const parsed =
  <T>(parse: (text: string) => T | undefined, what: string) =>
  (text: string, context: z.RefinementCtx): T => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue(`${text} is no ${what}`);
    return z.NEVER;
  };
const address = z.string().transform(parsed(parseAddress, 'address'));
const fleet = z.object({
  forwarders: z.array(z.string().transform(parsed(parsePrefix, 'prefix'))),
  backends: z.array(address),
  peers: z.array(z.object({ address, id: z.number(), agent: z.boolean() })),
  /** Agents before this one wrote none. */
  services: z
    .array(
      z.object({
        vip: address,
        protocol: z.enum(['tcp', 'udp']),
        portFirst: z.number(),
        portLast: z.number(),
      }),
    )
    .default([]),
});
const kept = z.object({
  present: z.object({ fleet, settleMs: z.number() }),
  former: z.array(z.object({ fleet, untilMs: z.number() })),
  /** Agents before this one wrote none. */
  claims: z.array(z.object({ id: z.number(), address: z.string(), freeAtMs: z.number() })).default([]),
});

/** Pins it in the place of what is there. @throws AnyhopError ERR_BPF */
export function writeFleets(directory: string, { present, former, claims }: FleetHistory): void {
  const text = Buffer.from(
    JSON.stringify({
      present: { ...present, fleet: textsOf(present.fleet) },
      former: former.map(({ fleet, untilMs }) => ({ fleet: textsOf(fleet), untilMs })),
      claims,
    }),
  );
  const map = MappedArray.create('anyhop_fleet', text.length + 1);
  try {
    new Uint8Array(map.memory).set(text);
    const beside = join(directory, `${FLEET_PIN}-next`);
    map.descriptor.pin(beside);
    renameSync(beside, join(directory, FLEET_PIN));
  } finally {
    map.close();
  }
}

/** What the agent before has left; undefined when there is none, or it cannot be read. */
export function readFleets(directory: string, log: Logger): FleetHistory | undefined {
  if (!entries(directory).includes(FLEET_PIN)) return undefined;
  const path = join(directory, FLEET_PIN);
  try {
    const map = MappedArray.pinned(path);
    try {
      const bytes = Buffer.from(map.memory);
      const { present, former, claims } = kept.parse(JSON.parse(bytes.toString('utf8', 0, bytes.indexOf(0))));
      return new FleetHistory(present, former, claims);
    } finally {
      map.close();
    }
  } catch (error) {
    const why = reasonOf(error);
    const text = `${path}: ${why}; forwarders and backends of the config before are strangers`;
    log.error({ event: 'state_unusable', file: path, why }, text);
    return undefined;
  }
}

function textsOf({ forwarders, backends, peers, services }: Fleet): unknown {
  const text = (each: { readonly text: string }): string => each.text;
  return {
    forwarders: forwarders.map(text),
    backends: backends.map(text),
    peers: peers.map(({ address, id, agent }) => ({ address: address.text, id, agent })),
    services: services.map(({ vip, ...ports }) => ({ vip: vip.text, ...ports })),
  };
}
