/** The interrupts of a card's queues, and which processors they may go to. */
import type { Host } from './host.js';

export interface Interrupt {
  readonly number: number;
  /** As the kernel writes a list: `0-3`, `2`. */
  readonly processors: string;
}

/** Of each line of /proc/interrupts whose last words have the name: `eth0-TxRx-3`, `mlx5_comp3@pci:...` are drivers' own. */
export function readInterrupts(host: Host, name: string): Interrupt[] {
  const msi = host.list(`/sys/class/net/${name}/device/msi_irqs`).map(Number);
  const byDevice = msi.length > 0 ? new Set(msi) : undefined;
  const lines = (host.read('/proc/interrupts') ?? '').split('\n');
  return lines.flatMap((line) => {
    const [, number] = /^\s*(\d+):/.exec(line) ?? [];
    if (number === undefined) return [];
    const what = line.trim().split(/\s+/).at(-1) ?? '';
    const isOwn = what.startsWith(`${name}-`) || what === name || byDevice?.has(Number(number));
    // Of the card itself, beside those of its queues.
    if (!isOwn || /async|ctrl|admin|mgmnt|other|config/i.test(what)) return [];
    const processors = host.read(`/proc/irq/${number}/smp_affinity_list`);
    return processors === undefined ? [] : [{ number: Number(number), processors }];
  });
}
