/** The lists, understood the slow way: every prefix is compared with the address, as integers. Shares no code with the program. */
export type Verdict = 'none' | 'block' | 'allow';

export interface ListedPrefix {
  readonly family: 4 | 6;
  readonly address: bigint;
  readonly length: number;
  readonly verdict: 'block' | 'allow';
}

export function bitsOf(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

export function covers({ family, address, length }: ListedPrefix, other: bigint): boolean {
  const hosts = BigInt(bitsOf(family) - length);
  return address >> hosts === other >> hosts;
}

/** The longest prefix that covers the address says; of equal ones, allow. */
export function naive(prefixes: readonly ListedPrefix[], family: 4 | 6, address: bigint): Verdict {
  let best: ListedPrefix | undefined;
  for (const prefix of prefixes) {
    if (prefix.family !== family || !covers(prefix, address)) continue;
    const isLonger = best === undefined || prefix.length > best.length;
    if (isLonger || (prefix.length === best?.length && prefix.verdict === 'allow')) best = prefix;
  }
  return best?.verdict ?? 'none';
}

export function bytesOf(family: 4 | 6, address: bigint): Uint8Array {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  for (let i = bytes.length - 1, left = address; i >= 0; i--, left >>= 8n) bytes[i] = Number(left & 255n);
  return bytes;
}
