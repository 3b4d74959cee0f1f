/**
 * The capabilities of this process, from /proc/self/status (capabilities(7)). CAP_SYS_ADMIN includes CAP_BPF and CAP_PERFMON,
 * which came with Linux 5.8.
 */

/** Bits of linux/capability.h. */
const BITS = {
  CAP_NET_ADMIN: 12n,
  CAP_NET_RAW: 13n,
  CAP_IPC_LOCK: 14n,
  CAP_SYS_ADMIN: 21n,
  CAP_PERFMON: 38n,
  CAP_BPF: 39n,
} as const;
const WITHIN_SYS_ADMIN: ReadonlySet<string> = new Set(['CAP_BPF', 'CAP_PERFMON']);

export type Capability = keyof typeof BITS;

/**
 * The missing ones of `needed`, in their order.
 * @param status text of /proc/self/status
 * @param set the effective ones, or the ambient ones, which child processes inherit
 */
export function missingCapabilities(
  needed: readonly Capability[],
  status: string,
  set: 'CapEff' | 'CapAmb' = 'CapEff',
): Capability[] {
  const text = new RegExp(`^${set}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1] ?? '0';
  const bits = BigInt(`0x${text}`);
  const has = (name: Capability): boolean => ((bits >> BITS[name]) & 1n) === 1n;
  return needed.filter((name) => !has(name) && !(WITHIN_SYS_ADMIN.has(name) && has('CAP_SYS_ADMIN')));
}
