/** Dashboards for the forwarders of a lab: each listens on its underlay address, over mutual TLS, and knows the others as its siblings. */
import { join } from 'node:path';
import { createAuthority } from './certificates.js';
import { changeConfig } from './config.js';
import type { Lab } from './lab.js';
import { type Relay, startRelay } from './relay.js';

export const DASHBOARD_PORT = 9612;

export interface LabDashboards {
  /** Makes the dashboard of a forwarder (index from 0) visible on this machine, as plain HTTP on a port of 127.0.0.1. */
  show(index: number, port?: number): Promise<Relay>;
}

/** Before the forwarders start: changes their configs. */
export async function addDashboards({ resources, forwarders, nodeFile }: Lab): Promise<LabDashboards> {
  const file = (name: string): string => join(resources.directory, name);
  const authority = await createAuthority(resources.directory, 'dashboards');
  await Promise.all(forwarders.map(({ name }) => authority.peerCertificate(file(`${name}.pem`), [name])));
  for (const [index, { name, host4 }] of forwarders.entries())
    changeConfig(nodeFile(index), ({ node }) => {
      node.metrics = { listen: host4, certificate: file(`${name}.pem`), ca_file: authority.file };
      node.siblings = forwarders.map((other) => ({ name: other.name, address: other.host4 }));
    });
  return {
    show(index, port) {
      const { name, namespace, host4: host } = forwarders[index]!;
      const tls = { certificate: file(`${name}.pem`), authority: authority.file, name };
      return startRelay(resources, { namespace, host, port: DASHBOARD_PORT, tls }, port);
    },
  };
}
