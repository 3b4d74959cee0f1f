/** What the doctor says of SYN cookies and lists: of a backend by its settings and sockets, of a forwarder by what its node tells. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type DefendSummary, OTHER_COOKIE_KEY } from '#anyhop/api/defend.js';
import type { NodeStatus } from '#anyhop/api/status.js';
import { parseConfig } from '#anyhop/config/load.js';
import type { Check } from '#anyhop/doctor/check.js';
import { cookieHost } from '#anyhop/doctor/checks/cookie-host.js';
import { cookies } from '#anyhop/doctor/checks/cookies.js';
import { lists } from '#anyhop/doctor/checks/lists.js';
import { diagnose } from '#anyhop/doctor/diagnose.js';
import type { Place } from '#anyhop/doctor/facts.js';
import type { Host } from '#anyhop/doctor/host.js';
import { recordedHost } from './recorded-host.js';

const CONFIG = `
node: {name: edge-1, interface: eth0, source: 10.0.0.1, key: 00112233445566778899aabbccddeeff}
agent: {interface: eth0, forwarders: [10.0.0.1]}
pools:
  web: {backends: [{name: web-1, address: 10.1.0.11}, {name: web-2, address: 10.1.0.12}]}
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}
  - {name: dns, vip: 203.0.113.10, protocol: udp, port: 53, pool: web}
`;
/** Port 80 of all IPv4 addresses. */
const MPTCP = { address: new Uint8Array(4), port: 80 };

/** A host that is set up right, but for some settings of net.ipv4 and for what a test says. */
function host(settings: Readonly<Record<string, number>> = {}, more: Partial<Host> = {}): Host {
  const own = recordedHost('backend');
  return {
    ...own,
    read: (path) => {
      const name = path.replace('/proc/sys/net/ipv4/', '');
      return Object.hasOwn(settings, name) ? String(settings[name]) : own.read(path);
    },
    ...more,
  };
}

function place(where: Place['where'], defence: string, defend?: Partial<DefendSummary>): Place {
  const config = parseConfig(CONFIG + defence, 'a.yaml', {
    role: where === 'forwarder' ? 'run' : 'agent',
    env: {},
  });
  const targets = config.pools.flatMap(({ name: pool, backends }) =>
    backends.map((each) => ({ ...each, pool })),
  );
  const status = {
    defend: { lists: { allow: 0, block: 0, problems: [] }, withoutCookies: [], ...defend },
  } as unknown as NodeStatus;
  return { where, name: 'x', config, interface: 'eth0', targets, status: async () => status };
}

async function found(check: Check, where: Place, on = host()): Promise<string[]> {
  const { outcomes } = await diagnose(on, where, [check]);
  for (const { unseen } of outcomes) assert.equal(unseen, undefined);
  return outcomes.flatMap(({ findings }) =>
    findings.map(({ level, saw, mend }) => `${level} ${saw} -> ${mend}`),
  );
}

const ALWAYS = 'defend: {syn_cookies: always}';

describe('the doctor of a backend', () => {
  const says = async (on: Host, defence = ALWAYS): Promise<string> =>
    (await found(cookieHost, place('backend', defence), on)).join();

  it('says what keeps the host from SYN cookies, and the line that mends it', async () => {
    const off = await says(host({ tcp_timestamps: 0 }));
    assert.match(
      off,
      /^warning this host takes no .* net\.ipv4\.tcp_timestamps is 0 -> sysctl -w net\.ipv4\.tcp_timestamps=1$/,
    );
    assert.match(
      await says(host({}, { mptcpListeners: () => [MPTCP] })),
      /MPTCP listens for service web, .*GODEBUG=multipathtcp=0/,
    );
    assert.match(
      await says(host({}, { hasFunction: () => false })),
      /no function bpf_sk_assign_tcp_reqsk -> .*Linux 6\.9/,
    );
  });

  it('says nothing where the host can, and where the config has no cookies', async () => {
    assert.equal(await says(host()), '');
    const off = host({ tcp_timestamps: 0 });
    for (const defence of ['', 'defend: {syn_cookies: off}']) assert.equal(await says(off, defence), '');
    assert.equal(await says(host({}, { mptcpListeners: () => [{ ...MPTCP, port: 8080 }] })), '');
  });
});

describe('the doctor of a forwarder', () => {
  it('names each backend that cannot take cookies, with what its agent says', async () => {
    const withoutCookies = [
      { pool: 'web', backend: 'web-2', why: 'tcp_timestamps is 0' },
      { pool: 'gone', backend: 'gone-1', why: 'no agent' },
    ];
    assert.deepEqual(await found(cookies, place('forwarder', ALWAYS, { withoutCookies })), [
      'warning web/web-2 takes no SYN cookies: tcp_timestamps is 0 (anyhop defend status) -> on web-2: anyhop doctor; anyhop agent -c a.yaml --check',
    ]);
    assert.deepEqual(await found(cookies, place('forwarder', ALWAYS)), []);
  });

  it('sends nobody to look for another key on a host that shows nothing wrong', async () => {
    const withoutCookies = [{ pool: 'web', backend: 'web-2', why: OTHER_COOKIE_KEY }];
    const [one] = await found(cookies, place('forwarder', ALWAYS, { withoutCookies }));
    assert.match(one!, / -> on web-2, put this host's key in place and reload the agent /);
  });

  it('names each list that is not as its file', async () => {
    const problems = ['/etc/anyhop/block.txt: it does not exist'];
    const [one, ...more] = await found(
      lists,
      place('forwarder', ALWAYS, { lists: { allow: 0, block: 0, problems } }),
    );
    assert.match(
      one!,
      /^warning a list is not in force as it is written: \/etc\/anyhop\/block\.txt: it does not exist /,
    );
    assert.deepEqual(more, []);
    assert.deepEqual(await found(lists, place('forwarder', ALWAYS)), []);
  });

  it('says nothing of a node that does not run', async () => {
    const nobody = { ...place('forwarder', ALWAYS), status: async () => undefined };
    assert.deepEqual([...(await found(cookies, nobody)), ...(await found(lists, nobody))], []);
  });
});
