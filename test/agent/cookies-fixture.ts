/** What the tests of a host's SYN cookies need: configs that want them, and machines that are made up. */
import type { CookieHost } from '#anyhop/agent/cookies/host.js';
import { parseConfig } from '#anyhop/config/load.js';
import type { LoadedConfig } from '#anyhop/config/types.js';
import { CONFIG } from './fixture.js';

const SECRET = '00112233445566778899aabbccddeeff';

/** @param change of the text of an agent's config that wants cookies, and has the fleet's secret */
export function configOf(change: (text: string) => string = (text) => text): LoadedConfig<'agent'> {
  const node = `node: {name: edge-1, interface: eth0, source: 10.0.0.1, key: "${SECRET}"}\n`;
  const text = change(`${node}defend: {syn_cookies: auto}\n${CONFIG}`);
  return parseConfig(text, 'a.yaml', { role: 'agent', env: {} });
}

/** A machine that has all that cookies take, but for what is given. */
export function host(o: Partial<CookieHost> & { files?: Record<string, string> } = {}): CookieHost {
  return {
    read: (path) => o.files?.[path] ?? (path.startsWith('/proc/sys/net/ipv4/tcp_') ? '1' : undefined),
    hasFunction: o.hasFunction ?? (() => true),
    mptcpListeners: o.mptcpListeners ?? (() => []),
  };
}
