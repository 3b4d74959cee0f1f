/**
 * What a change of services does to flows, beside what the pools' tables do: a service may leave, be hashed another
 * way, or be given to another pool. Flows know VIP, protocol and port, not a service's name, so that is how services
 * of two configs are matched.
 */
import type { ServiceConfig } from '../config/types.js';

/** One sentence for each thing that ends or moves flows, or what is done for them; none when the tables tell everything. */
export function serviceChanges(before: readonly ServiceConfig[], after: readonly ServiceConfig[]): string[] {
  return before.flatMap((old) => {
    const heirs = heirsOf(old, after);
    const lines = ending(old, heirs);
    for (const heir of heirs) {
      lines.push(...movedTo(old, heir));
      if (heir.secondChance !== old.secondChance) {
        const [was, is] = [old, heir].map(({ secondChance }) => (secondChance ? 'on' : 'off'));
        lines.push(`${old.name}: second chance ${was} -> ${is}`);
      }
    }
    return lines;
  });
}

/** Of these, what gives flows that go on being served other slots. */
export function movedServices(before: readonly ServiceConfig[], after: readonly ServiceConfig[]): string[] {
  return before.flatMap((old) => heirsOf(old, after).flatMap((heir) => movedTo(old, heir)));
}

/** And what is served no longer. */
export function endedServices(before: readonly ServiceConfig[], after: readonly ServiceConfig[]): string[] {
  return before.flatMap((old) => ending(old, heirsOf(old, after)));
}

function ending(old: ServiceConfig, heirs: readonly ServiceConfig[]): string[] {
  const ports = heirs.reduce((sum, heir) => sum + sharedPorts(old, heir), 0);
  if (ports === old.portLast - old.portFirst + 1) return [];
  return [`${old.name}: no longer served${ports === 0 ? '' : ' in part'}; those flows end`];
}

function heirsOf(old: ServiceConfig, after: readonly ServiceConfig[]): ServiceConfig[] {
  return after.filter((service) => overlap(old, service));
}

function movedTo(old: ServiceConfig, heir: ServiceConfig): string[] {
  if (heir.pool !== old.pool)
    return [`${old.name}: pool ${old.pool} -> ${heir.pool}; all its flows change backends`];
  if (heir.hash !== old.hash)
    return [`${old.name}: hash ${old.hash} -> ${heir.hash}; all its flows get new slots`];
  return [];
}

function overlap(a: ServiceConfig, b: ServiceConfig): boolean {
  return a.vip.text === b.vip.text && a.protocol === b.protocol && sharedPorts(a, b) > 0;
}

function sharedPorts(a: ServiceConfig, b: ServiceConfig): number {
  return Math.max(0, Math.min(a.portLast, b.portLast) - Math.max(a.portFirst, b.portFirst) + 1);
}
