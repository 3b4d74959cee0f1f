/** The interrupts of a card's queues, and which processors they may go to. */
import type { Host } from './host.js';

export interface Interrupt {
  readonly number: number;
  /** As the kernel writes a list: `0-3`, `2`. */
  readonly processors: string;
}

/** Those that are not of a queue, or of one that only sends: of the card itself, `virtio2-output.0`, `eth0-tx-0`. */
const NOT_RECEIVING = /async|ctrl|admin|mgmnt|misc|config|output|(?:^|[-.])tx(?!rx)/i;

/**
 * Those of receive queues, by the lines of /proc/interrupts with the interface's name (`eth0-TxRx-3`) and by the card's own list: drivers
 * have names of their own (`mlx5_comp3@pci:0000:3b:00.0`, `virtio2-input.0`).
 */
export function readInterrupts(host: Host, name: string): Interrupt[] {
  const device = `/sys/class/net/${name}/device`;
  // A virtio device has them at the PCI device above it.
  const ofCard = new Set(
    [...host.list(`${device}/msi_irqs`), ...host.list(`${device}/../msi_irqs`)].map(Number),
  );
  const lines = (host.read('/proc/interrupts') ?? '').split('\n');
  const own = lines.flatMap((line) => {
    const [, number] = /^\s*(\d+):/.exec(line) ?? [];
    if (number === undefined) return [];
    const what = line.trim().split(/\s+/).at(-1) ?? '';
    const isOwn = what.startsWith(`${name}-`) || what === name || ofCard.has(Number(number));
    if (!isOwn || NOT_RECEIVING.test(what)) return [];
    const processors = host.read(`/proc/irq/${number}/smp_affinity_list`);
    return processors === undefined ? [] : [{ number: Number(number), what, processors }];
  });
  // Beside those of queues, the one with the bare name is of the card itself.
  return own.length > 1 ? own.filter(({ what }) => what !== name) : own;
}
