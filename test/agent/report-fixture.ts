/** Reports without an agent: a config, a report, and a port to tell it on. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { AgentReport } from '#anyhop/agent/report.js';
import { parseConfig } from '#anyhop/config/load.js';
import type { LoadedConfig } from '#anyhop/config/types.js';
import { parsePrefix } from '#anyhop/packet/address.js';

export const TIMEOUT_MS = 5_000;

export const REPORT: AgentReport = {
  version: '1.2.3',
  startedAt: '2026-01-02T03:04:05.678Z',
  vips: [{ vip: '203.0.113.10', protocol: 'tcp', established: 12, services: { web: 12 } }],
  verdicts: { delivered: 7, drop_stranger: 0 },
  draining: true,
  forwarders: [
    { address: '10.0.0.1', draining: true, agoMs: 120, everyMs: 5000 },
    { address: 'fd00::1', draining: false, agoMs: 4800, everyMs: 5000 },
  ],
};

/**
 * Services on these VIPs, on ports from 80 on; 127.0.0.1 and 127.0.0.4 to 127.0.0.7 are forwarders.
 * @param port of the reports
 */
export function configOf(port: number, vips: readonly string[] = ['203.0.113.10']): LoadedConfig<'agent'> {
  const services = vips.map(
    (vip, i) => `  - {name: s${i}, vip: "${vip}", protocol: tcp, port: ${80 + i}, pool: web}`,
  );
  const text = `
pools: {web: {backends: [{name: web-1, address: 10.1.0.11}]}}
services:
${services.join('\n')}
agent: {forwarders: [10.0.0.1], report_port: ${port}}
`;
  const config = parseConfig(text, 'agent.yaml', { role: 'agent', env: {} });
  // A config takes no loopback address.
  return {
    ...config,
    agent: { ...config.agent, forwarders: [parsePrefix('127.0.0.1')!, parsePrefix('127.0.0.4/30')!] },
  };
}

/** A port that nobody listens on. */
export async function freePort(host: string): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
