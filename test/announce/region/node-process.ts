/** A node of a region as a process: the real server, and announcements that a file says, which a test replaces. */
import { readFileSync } from 'node:fs';
import { regionAnswer } from '#anyhop/announce/region/answer.js';
import { RegionServer } from '#anyhop/announce/region/server.js';
import { Secret } from '#anyhop/config/secret.js';
import { createLog } from '#anyhop/core/log.js';
import { parseAddress } from '#anyhop/packet/address.js';

/** What the file holds, in JSON. */
export interface NodeFile {
  readonly node: string;
  readonly region: string;
  readonly weight: number;
  readonly port: number;
  readonly certificate: string;
  readonly authority: string;
  readonly state: 'announced' | 'draining' | 'withdrawn';
  readonly vips: readonly string[];
}

const [file = ''] = process.argv.slice(2);
const read = (): NodeFile => JSON.parse(readFileSync(file, 'utf8'));
const { port, certificate, authority } = read();
const tls = {
  certificate: new Secret(readFileSync(certificate)),
  authorities: new Secret(readFileSync(authority)),
};
new RegionServer(
  { address: parseAddress('127.0.0.1')!, port },
  tls,
  () => {
    const { node, region, weight, state, vips } = read();
    const place = { name: region, weight, vips: new Set(vips) };
    return regionAnswer({ node, vips: vips.map((vip) => ({ vip, state })) }, place);
  },
  createLog('info', false),
);
setInterval(() => undefined, 60_000);
