/** What the kernel says of forwarding that goes on without a process, in the terms that the node spoke in. */

export interface KernelFacts {
  /** Since when it is asked. */
  readonly sinceMs: number;
  /** What is attached to the interface, by the kernel's number; without an `id` nothing is, or the interface is gone. Absent: not known. */
  readonly program?: { readonly id?: number; readonly sinceMs: number };
  /** Whether the interface is up and has a carrier: if not, why. Absent: not known. */
  readonly link?: { readonly fault?: string };
  /**
   * By address of a backend: `hopText` of its next hop, and the empty text when it has none. Addresses whose neighbour is still being asked
   * are missing. Absent: nothing is known.
   */
  readonly hops?: ReadonlyMap<string, string>;
}

/** The same text for two that are the same, whatever the interface is called. */
export function hopText(index: number, mac: string, vlan: number | undefined): string {
  return `${mac} over ${index}${vlan === undefined ? '' : `, VLAN ${vlan}`}`;
}
