/** What `anyhop run` refuses to start with: the exit code, what it says, and that nothing on the host has changed, nor what it remembers. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { nameOfSegment, readKept } from '#anyhop/events/segments.js';
import { createLink, here as engineFile, LINK, type NodeLink } from '../engine/link.js';
import { VIP4 } from '../forward/fixture.js';
import { missingForIsolation } from '../isolation.js';
import { FLAGS, type Refusal, refusal, writeFleet } from './run-fixture.js';

const preload = (file: string): { NODE_OPTIONS: string } => ({ NODE_OPTIONS: `--import=${file}` });
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

describe('anyhop run refuses', { skip: missingForIsolation('nft', 'ethtool', 'setpriv') }, () => {
  let link: NodeLink;
  let file: string;
  let state: string;
  const stateDirectory = (): string => JSON.parse(readFileSync(file, 'utf8')).node.state_dir;
  const hostState = async (): Promise<string> => {
    // What a node remembers; that it was refused is an event all the same.
    const memory = readdirSync(stateDirectory()).filter((name) => nameOfSegment(name) === undefined);
    return `${await link.onNode('nft', 'list', 'ruleset')}${await link.onNode('ethtool', '-k', LINK)}${memory}`;
  };
  before(async () => {
    link = await createLink();
    file = writeFleet(link);
    state = await hostState();
  });
  after(() => link?.resources.close());

  const refuses = async (status: number, stderr: RegExp, got: Refusal): Promise<void> => {
    assert.match(got.stderr, stderr);
    assert.doesNotMatch(got.stderr, /internal error|^\s+at /m);
    assert.equal(got.status, status, got.stderr);
    assert.equal(await hostState(), state);
  };

  test('without capabilities, and names them', async () => {
    const got = refusal(link, ['-c', file, ...FLAGS], {
      prefix: ['setpriv', '--bounding-set=-all', '--inh-caps=-all'],
    });
    await refuses(3, /lacks CAP_NET_ADMIN, CAP_NET_RAW\n {2}Run it as root .*AmbientCapabilities/, got);
  });

  test('an interface that is not there, and names those that are', async () => {
    const got = refusal(link, ['-c', file, ...FLAGS, '--interface', 'eth7']);
    const { events } = readKept(stateDirectory(), 'edge-1', { nowMs: Date.now(), most: 10 });
    assert.match(events.at(-1)!.message, /^process \d+ ends: there is no interface eth7$/);
    await refuses(3, new RegExp(`there is no interface eth7\n {2}Ethernet interfaces here: ${LINK}\\.`), got);
  });

  test('an interface that is down, and one that is not Ethernet', async () => {
    await link.onNode('ip', 'link', 'add', 'down0', 'type', 'veth', 'peer', 'name', 'down1');
    try {
      const got = refusal(link, ['-c', file, ...FLAGS, '--interface', 'down0']);
      await refuses(3, /interface down0 is down\n {2}ip link set down0 up/, got);
    } finally {
      await link.onNode('ip', 'link', 'del', 'down0');
    }
    const got = refusal(link, ['-c', file, ...FLAGS, '--interface', 'lo']);
    await refuses(
      3,
      /interface lo is not Ethernet but of type loopback\n {2}Name the Ethernet interface/,
      got,
    );
  });

  test('a VIP that is an address of the host, and says how to remove it', async () => {
    await link.onNode('ip', 'addr', 'add', `${VIP4}/32`, 'dev', 'lo');
    try {
      const got = refusal(link, ['-c', file, ...FLAGS]);
      await refuses(
        3,
        /the VIP 203\.0\.113\.10 is an address of this host\n.*ip addr del 203\.0\.113\.10\/32 dev lo/,
        got,
      );
    } finally {
      await link.onNode('ip', 'addr', 'del', `${VIP4}/32`, 'dev', 'lo');
    }
  });

  test('a source prefix with addresses that are on a link: of a subnet, and of a route without an address', async () => {
    const from = (prefix: string): string[] => FLAGS.map((flag) => (flag === '10.0.0.1' ? prefix : flag));
    const got = refusal(link, ['-c', file, ...from('10.0.0.0/28')]);
    await refuses(2, /10\.0\.0\.0\/28, which overlaps the subnet of 10\.0\.0\.1\/24 on eth0/, got);
    await link.onNode('ip', 'route', 'add', '10.0.9.0/30', 'dev', LINK);
    try {
      const routed = refusal(link, ['-c', file, ...from('10.0.9.0/28')]);
      await refuses(
        3,
        /10\.0\.9\.0\/28 overlaps 10\.0\.9\.0\/30, which is on the link eth0\n.*belongs to nobody/,
        routed,
      );
    } finally {
      await link.onNode('ip', 'route', 'del', '10.0.9.0/30', 'dev', LINK);
    }
  });

  for (const [program, name] of [
    ['ip', 'iproute2'],
    ['nft', 'nftables'],
    ['ethtool', 'ethtool'],
  ]) {
    test(`a machine without ${program}, and names the package`, async () => {
      const env = { ...preload(here('hide-program.js')), HIDE_PROGRAM: program };
      const got = refusal(link, ['-c', file, ...FLAGS], { env });
      await refuses(3, new RegExp(`the program ${program} is missing\n {2}.*apt-get install ${name}`), got);
    });
  }

  for (const name of ['cap', 'raw-socket']) {
    test(`a machine where npm ${name} cannot be loaded, and says how to build it`, async () => {
      const env = { ...preload(here('hide-module.js')), HIDE_MODULE: name };
      const got = refusal(link, ['-c', file, ...FLAGS], { env });
      await refuses(
        3,
        new RegExp(
          `npm ${name}, which cannot be loaded: libpcap\\.so.*\n {2}Install what it is built with .*libpcap-dev g\\+\\+ .*anyhop again: npm ci, in `,
        ),
        got,
      );
    });
  }

  test('a capture that libpcap refuses, after taking back what had been changed', async () => {
    const got = refusal(link, ['-c', file, ...FLAGS], { env: preload(engineFile('broken-capture.js')) });
    await refuses(3, /libpcap cannot capture on eth0: can't parse filter/, got);
  });

  test('a config that says nothing of the interface, with exit code 2', async () => {
    await refuses(2, /interface: missing/, refusal(link, ['-c', file, '--source', '10.0.0.1']));
  });

  test('a file that is not there and an option that is not known, with exit code 2', async () => {
    const missing = `${link.resources.directory}/none.yaml`;
    await refuses(2, /none\.yaml/, refusal(link, ['-c', missing, ...FLAGS]));
    await refuses(2, /unknown option '--fast'/, refusal(link, ['-c', file, '--fast']));
  });
});
