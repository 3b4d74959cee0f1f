/** Reports of a node about its defence, as it tells them: one TCP service with every rule, and whatever a test changes. */
import type { AttackStatus, DefendCounts, DefendedService, DefendReport } from '#anyhop/api/defend.js';

const NOTHING = { did: 0, would: 0 };

export function defendCounts(change: Partial<DefendCounts> = {}): DefendCounts {
  return {
    syns: 0,
    allowed: 0,
    blocked: NOTHING,
    sourceRate: NOTHING,
    serviceRate: NOTHING,
    cookies: NOTHING,
    synLimited: NOTHING,
    ...change,
  };
}

export function defendedService(name: string, change: Partial<DefendedService> = {}): DefendedService {
  return {
    name,
    lists: 'enforce',
    sourceRate: {
      mode: 'observe',
      packets: 50_000,
      syn: 500,
      perMs: 1000,
      prefix4: 32,
      prefix6: 64,
      own: false,
    },
    serviceRate: { mode: 'enforce', syn: 200_000, perMs: 1000 },
    cookies: { mode: 'enforce', when: 'auto', state: 'idle' },
    counts: defendCounts(),
    synRate: 812,
    norm: 790,
    threshold: 3160,
    ...change,
  };
}

export function attack(change: Partial<AttackStatus> = {}): AttackStatus {
  return {
    service: 'web',
    kind: 'syn_flood',
    since: '2024-05-01T12:04:10.000Z',
    peak: 80_300,
    rate: 61_200,
    packets: 734_000,
    mode: 'enforce',
    ...change,
  };
}

export function defendReport(change: Partial<DefendReport> = {}): DefendReport {
  return {
    mode: 'enforce',
    services: [defendedService('web')],
    lists: {
      allow: { prefixes4: 1, prefixes6: 0, sources: [{ from: '192.0.2.0/24', prefixes: 1 }] },
      block: {
        prefixes4: 999_800,
        prefixes6: 12,
        sources: [{ from: '/etc/anyhop/block.txt', prefixes: 999_812, loadedAt: '2024-05-01T12:03:00.000Z' }],
      },
      bytes: 13_200_000,
    },
    blocks: [],
    withoutCookies: [],
    attacks: [],
    ...change,
  };
}
