/** The vectors of the flow hash that every language reads. */
import { readFileSync } from 'node:fs';
import type { HashMode, Protocol } from '#anyhop/config/types.js';

export interface FlowVector {
  readonly mode: HashMode;
  readonly family: 4 | 6;
  readonly protocol: Protocol;
  readonly vip: string;
  readonly source: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** What its key is derived for. */
  readonly info: string;
  readonly key: string;
  readonly input: string;
  readonly hash: string;
  readonly slot65537: number;
}

export interface Vectors {
  readonly version: number;
  readonly secret: string;
  readonly raw: readonly { readonly key: string; readonly input: string; readonly hash: string }[];
  readonly flows: readonly FlowVector[];
}

export const VECTORS: Vectors = JSON.parse(readFileSync('test/vectors/flow-hash.json', 'utf8'));

/** Raw words of hexadecimal digits, which stand in the order of the packet. */
export function wordsOf(hex: string): Int32Array {
  const bytes = Buffer.from(hex, 'hex');
  return Int32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readInt32LE(i * 4));
}
