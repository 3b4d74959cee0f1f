/** The health checks of a pool, from a checked draft. */
import { dirname, resolve } from 'node:path';
import { HEALTH_CA_BYTES_MAX } from '../core/limits.js';
import type { Draft, DraftHealth, DraftPool } from './draft.js';
import { readSmallFile, UnreadableFile } from './file.js';
import { quote } from './path.js';
import { certificatesIn } from './pem.js';
import type { Report } from './problems.js';
import { endpointsOf, portOf, servicesOf } from './rules/health.js';
import type { HealthCheck, HealthConfig } from './types.js';

/** Texts of `ca_file`s by check. */
export type CaTexts = ReadonlyMap<DraftHealth, string>;

/** Reads the `ca_file`s of health checks, and reports those that it cannot use. */
export function readCaFiles(draft: Draft, configFile: string, report: Report): CaTexts {
  const texts = new Map<DraftHealth, string>();
  for (const health of draft.pools.flatMap((pool) => pool.health ?? [])) {
    if (health.kind !== 'https' || health.tls?.caFile === undefined) continue;
    const at = [...health.at, 'tls', 'ca_file'];
    const path = resolve(dirname(configFile), health.tls.caFile);
    try {
      const { bytes } = readSmallFile(path, HEALTH_CA_BYTES_MAX);
      const text = new TextDecoder().decode(bytes);
      if ((certificatesIn(text) ?? []).length > 0) texts.set(health, text);
      else report(at, `${quote(path)} has no readable certificate; expected certificates in PEM`);
    } catch (error) {
      if (!(error instanceof UnreadableFile)) throw error;
      report(at, `${quote(path)}: ${error.message}`);
    }
  }
  return texts;
}

/** In the order of the file, without those that check nothing, and those whose port no service gives. */
export function healthConfigs(draft: Draft, pool: DraftPool, caTexts: CaTexts): HealthConfig[] {
  return (pool.health ?? []).flatMap((health) => {
    const check = checkOf(health, draft, pool, caTexts);
    const { intervalMs, timeoutMs, rise, fall, jitter } = health;
    return check === undefined ? [] : { intervalMs, timeoutMs, rise, fall, jitter, ...check };
  });
}

function checkOf(
  health: DraftHealth,
  draft: Draft,
  pool: DraftPool,
  caTexts: CaTexts,
): HealthCheck | undefined {
  const services = servicesOf(draft, pool) ?? [];
  const { kind } = health;
  if (kind === 'tunnel') return { kind, endpoints: endpointsOf(services, health.port) };
  const port = health.port ?? portOf(services);
  if (port === undefined) return undefined;
  switch (kind) {
    case 'tcp':
      return { kind, port };
    case 'http':
    case 'https': {
      const { path, host, status, body } = health;
      const { verify = true, serverName } = health.tls ?? {};
      const tls =
        kind === 'https'
          ? { verify, serverName: serverName ?? nameIn(host), ca: caTexts.get(health) }
          : undefined;
      return { kind, port, path, host, status, body, tls };
    }
    case 'udp':
      return { kind, port, payload: health.payload!, answer: health.answer };
    default:
      return undefined;
  }
}

/** The name in a Host header, without port; undefined for an address. */
function nameIn(host: string | undefined): string | undefined {
  return /^(?![0-9.]+(?::[0-9]+)?$)([A-Za-z0-9_.-]+)(?::[0-9]+)?$/.exec(host ?? '')?.[1];
}
