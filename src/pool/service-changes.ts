/**
 * What a change of services does to flows, beside what the pools' tables do: a service may leave, be hashed another
 * way, or be given to another pool. Flows know VIP, protocol and port, not a service's name, so that is how services
 * of two configs are matched.
 */
import type { ServiceConfig } from '../config/types.js';

/** One sentence for each thing that ends or moves flows, or what is done for them; none when the tables tell everything. */
export function serviceChanges(before: readonly ServiceConfig[], after: readonly ServiceConfig[]): string[] {
  return before.flatMap((old) => {
    const heirs = after.filter((service) => overlap(old, service));
    const ports = heirs.reduce((sum, heir) => sum + sharedPorts(old, heir), 0);
    const lines: string[] = [];
    if (ports < old.portLast - old.portFirst + 1) {
      const part = ports === 0 ? '' : ' in part';
      lines.push(`${old.name}: no longer served${part}; those flows end`);
    }
    for (const heir of heirs) {
      if (heir.pool !== old.pool) {
        lines.push(`${old.name}: pool ${old.pool} -> ${heir.pool}; all its flows change backends`);
      } else if (heir.hash !== old.hash) {
        lines.push(`${old.name}: hash ${old.hash} -> ${heir.hash}; all its flows get new slots`);
      }
      if (heir.secondChance !== old.secondChance) {
        const [was, is] = [old, heir].map(({ secondChance }) => (secondChance ? 'on' : 'off'));
        lines.push(`${old.name}: second chance ${was} -> ${is}`);
      }
    }
    return lines;
  });
}

function overlap(a: ServiceConfig, b: ServiceConfig): boolean {
  return a.vip.text === b.vip.text && a.protocol === b.protocol && sharedPorts(a, b) > 0;
}

function sharedPorts(a: ServiceConfig, b: ServiceConfig): number {
  return Math.max(0, Math.min(a.portLast, b.portLast) - Math.max(a.portFirst, b.portFirst) + 1);
}
