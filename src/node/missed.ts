/** Configs that other nodes of the fleet had in force while this one had another, as far as connections may be from them. */
import { keyFingerprint } from '../config/key-fingerprint.js';
import type { PoolConfig } from '../config/types.js';
import { readClocks } from '../core/clock.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import type { MissedPools } from '../pool/missed.js';
import type { ReadConfig } from './config-file.js';

export interface MissedConfig {
  /** Of the revision. */
  readonly number: number;
  /** When another one came into force, by the wall clock; in milliseconds. */
  readonly untilMs: number;
  /** @throws ConfigError */
  readonly load: () => ReadConfig;
}

/** Those of the settle time that can be read here. @param inForce by which the settle time is */
export function missedPools(
  missed: readonly MissedConfig[],
  inForce: readonly PoolConfig[],
  log: Logger,
): (MissedPools & { readonly number: number })[] {
  const { nowMs, wallMs } = readClocks();
  const settleMs = Math.max(0, ...inForce.map((pool) => pool.settleMs));
  return missed.flatMap(({ number, untilMs, load }) => {
    const agoMs = Math.max(1, wallMs - untilMs); // by another host's clock
    if (agoMs >= settleMs) return [];
    try {
      const { pools, node } = load().config;
      return [{ number, pools, keyId: keyFingerprint(node.key.reveal()), untilMs: nowMs - agoMs }];
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error;
      log.warn(
        { event: 'fleet_missed_unread', revision: number, why: error.message },
        `revision ${number}, which other nodes had in force meanwhile, cannot be read here and is not remembered: ${error.message}`,
      );
      return [];
    }
  });
}
