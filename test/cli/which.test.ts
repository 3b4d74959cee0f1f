/** `anyhop which`, run as a user runs it: where a packet goes, and why. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(import.meta.resolve('#anyhop/main.js'));

const CONFIG = `node:
  interface: eth0
  source: [10.0.0.1, "fd00::1"]
  key: 00112233445566778899aabbccddeeff
pools:
  web:
    table_size: 251
    backends:
      - {name: web-1, address: 10.1.0.11}
      - {name: web-2, address: "fd00:1:2:3::a01:c"}
      - {name: web-3, address: 10.1.0.13, state: draining}
    prior:
      - {name: web-1, address: 10.1.0.11}
      - {name: web-2, address: "fd00:1:2:3::a01:c"}
      - {name: web-3, address: 10.1.0.13}
  none:
    table_size: 251
    backends:
      - {name: none-1, address: 10.2.0.11, weight: 0}
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web, second_chance: on}
  - {name: plain, vip: 203.0.113.10, protocol: tcp, port: 81, pool: web, second_chance: off}
  - {name: web-6, vip: "2001:db8::10", protocol: tcp, port: 80, pool: web, second_chance: on}
  - {name: dns, vip: 203.0.113.10, protocol: udp, port: 53, pool: web, hash: source}
  - {name: empty, vip: 203.0.113.10, protocol: tcp, port: 90, pool: none}
`;

let folder: string;
let file: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'anyhop-which-'));
  file = join(folder, 'anyhop.yaml');
  writeFileSync(file, CONFIG);
});
after(() => rmSync(folder, { recursive: true }));

function which(...args: string[]) {
  return spawnSync(process.execPath, [MAIN, 'which', '-c', file, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] },
  });
}

function answer(...args: string[]) {
  const { status, stdout, stderr } = which(...args, '--json');
  assert.deepEqual([status, stderr], [0, '']);
  return JSON.parse(stdout);
}

/** Rows of the text, by their names. */
function rows(...args: string[]): Record<string, string> {
  const { status, stdout, stderr } = which(...args);
  assert.deepEqual([status, stderr], [0, '']);
  return Object.fromEntries(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => /^(\S+) +(.*)$/.exec(line)!.slice(1)),
  );
}

const ADDRESSES: Record<string, string> = {
  'web-1': '10.1.0.11',
  'web-2': 'fd00:1:2:3::a01:c',
  'web-3': '10.1.0.13',
};
const IDS: Record<string, number> = { 'web-1': 11, 'web-2': 12, 'web-3': 13 };
interface Alternate {
  readonly backend: string;
  readonly id: number;
}

describe('anyhop which', () => {
  it('says service, hash, slot, owner, alternates and the key that their ids make, as table says too', () => {
    const args = ['table', '-c', file, '--pool', 'web', '--dump'];
    const table = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' }).stdout.split('\n');
    const counts = new Set<number>();
    for (let sport = 40000; sport < 40016; sport++) {
      const { service, pool, hash, slot, slots, owner, ...rest } = answer(
        '--src',
        `198.51.100.7:${sport}`,
        '--dst',
        '203.0.113.10:80',
      );
      assert.deepEqual([service, pool, slots, rest.mode], ['web', 'web', 251, 'normal']);
      assert.equal(slot, Number((BigInt(hash) * 251n) >> 32n));
      assert.equal(rest.verdict, 'forwarded');
      assert.equal(rest.ownerAddress, ADDRESSES[owner]);
      const alternates: readonly Alternate[] = rest.alternates;
      const names = alternates.map(({ backend }) => backend);
      assert.ok(names.length > 0 && !names.includes(owner), names.join());
      for (const { backend, id } of alternates) assert.equal(id, IDS[backend]);
      const word = (IDS[names[0]] << 15) | (IDS[names[1]] ?? 0);
      assert.deepEqual(rest.key, { word: `0x${word.toString(16).padStart(8, '0')}`, backends: names });
      assert.equal(table[slot + 1], [slot, owner, names[0], names[1] ?? ''].join());
      counts.add(names.length);
    }
    assert.deepEqual([...counts].sort(), [1, 2], 'web-3 drains, and is an alternate of its own slots alone');
  });

  it('shows a draining owner in the stack: its older flows are the alternate’s, new ones the next backend’s', () => {
    let drained = false;
    for (let sport = 1; sport < 20 && !drained; sport++) {
      const args = ['--src', `198.51.100.7:${sport}`, '--dst', '203.0.113.10:80'];
      const { stack, owner, alternates, key } = answer(...args);
      assert.equal(stack.length, 3);
      for (const { backend, state } of stack) {
        assert.equal(state, backend === 'web-3' ? 'draining' : 'active');
      }
      const first = stack.find(({ state }: { state: string }) => state === 'active');
      assert.equal(owner, first.backend);
      if (stack[0].backend !== 'web-3') continue;
      drained = true;
      assert.equal(alternates[0].backend, 'web-3');
      const text = rows(...args);
      assert.equal(text['stack'], `web-3 (draining), ${stack[1].backend}, ${stack[2].backend}`);
      assert.equal(
        text['owner'],
        `${owner} (${ADDRESSES[owner]}): the first eligible backend in the slot's stack, in layer 2`,
      );
      const other = alternates[1].backend;
      assert.equal(text['alternates'], `web-3 (id 13), ${other} (id ${IDS[other]})`);
      assert.equal(text['key'], `${key.word}: web-3, then ${other}`);
    }
    assert.ok(drained, 'a third of the flows have the draining backend first');
  });

  it('says the same in words, over IPv6 too', () => {
    const args = ['--src', '[2001:db8:c::7]:40000', '--dst', '[2001:db8::10]:80'];
    const json = answer(...args);
    const text = rows(...args);
    assert.equal(json.service, 'web-6');
    assert.equal(text['packet'], 'tcp [2001:db8:c::7]:40000 -> [2001:db8::10]:80');
    assert.equal(text['verdict'], `forwarded: ${json.meaning}`);
    assert.equal(text['service'], 'web-6, pool web');
    assert.equal(text['hash'], `0x${json.hash.toString(16).padStart(8, '0')}`);
    assert.equal(text['slot'], `${json.slot} of 251`);
  });

  it('answers for UDP, whose ports do not count in a service that hashes by source', () => {
    const slots = [1, 2].map((sport) => {
      const { service, verdict, slot, key } = answer(
        '--proto',
        'udp',
        '--src',
        `198.51.100.7:${sport}`,
        '--dst',
        '203.0.113.10:53',
      );
      assert.deepEqual([service, verdict, key], ['dns', 'forwarded', undefined]);
      return slot;
    });
    assert.equal(new Set(slots).size, 1);
  });

  it('names the alternates but no key where the service has no second chance', () => {
    const args = ['--src', '198.51.100.7:40000', '--dst', '203.0.113.10:81'];
    const { alternates, key, service } = answer(...args);
    assert.deepEqual([service, key], ['plain', undefined]);
    assert.ok(alternates.length > 0);
    const text = rows(...args);
    assert.equal(text['key'], 'none');
    assert.equal(
      text['alternates'],
      alternates.map(({ backend, id }: Alternate) => `${backend} (id ${id})`).join(', '),
    );
  });

  it('says where it ended when there is no service, no VIP, or no backend', () => {
    const at = (dst: string) => answer('--src', '198.51.100.7:40000', '--dst', dst);
    const noService = at('203.0.113.10:82');
    assert.deepEqual(
      [noService.verdict, Object.keys(noService)],
      ['drop_no_service', ['state', 'verdict', 'meaning']],
    );
    assert.equal(at('203.0.113.99:80').verdict, 'pass_not_vip');
    const empty = at('203.0.113.10:90');
    assert.deepEqual(
      [empty.verdict, empty.service, empty.owner, empty.alternates],
      ['drop_no_backend', 'empty', null, []],
    );
    const text = rows('--src', '198.51.100.7:40000', '--dst', '203.0.113.99:80');
    assert.deepEqual(Object.keys(text), ['state', 'packet', 'verdict']);
  });

  it('refuses endpoints that are none, families that differ and a missing option with exit code 2', () => {
    const good = '198.51.100.7:40000';
    for (const bad of ['198.51.100.7', '198.51.100.7:65536', '2001:db8::7:80', '[198.51.100.7]:80']) {
      const { status, stdout, stderr } = which('--src', bad, '--dst', good);
      assert.deepEqual([status, stdout], [2, ''], bad);
      assert.match(stderr, /ADDRESS:PORT/);
    }
    const mixed = which('--src', good, '--dst', '[2001:db8::10]:80');
    assert.equal(mixed.status, 2);
    assert.match(mixed.stderr, /--src is IPv4, --dst is IPv6\n/);
    assert.equal(which('--src', good).status, 2);
  });

  it('looks the client up in the lists of the file, as far as their files are good', () => {
    const listed = join(folder, 'listed.yaml');
    writeFileSync(join(folder, 'block.txt'), '198.51.100.0/24\n');
    writeFileSync(join(folder, 'evil.txt'), 'evil\n');
    const block = '[{file: block.txt}, {file: evil.txt}, 192.0.2.0/24]';
    writeFileSync(listed, `${CONFIG}defend: {allow: [198.51.100.7], block: ${block}}\n`);
    for (const [client, verdict] of [
      ['198.51.100.8', 'drop_blocked'],
      ['198.51.100.7', 'forwarded'],
      ['192.0.2.1', 'drop_blocked'],
    ] as const) {
      const args = ['-c', listed, '--src', `${client}:40000`, '--dst', '203.0.113.10:80', '--json'];
      const { stdout, stderr } = which(...args);
      assert.equal(JSON.parse(stdout).verdict, verdict, client);
      assert.match(
        stderr,
        /^anyhop: defend\.block: .*evil\.txt:1: found "evil"; expected .*; nothing of this/,
      );
    }
  });

  it('needs no outer source, and says the same without one', () => {
    const flow = ['--src', '198.51.100.7:40000', '--dst', '203.0.113.10:80'];
    const wanted = answer(...flow);
    const bare = join(folder, 'bare.yaml');
    writeFileSync(bare, CONFIG.replace(/^ {2}source:.*\n/m, ''));
    const { status, stdout } = which('-c', bare, ...flow, '--json');
    assert.equal(status, 0);
    assert.deepEqual(JSON.parse(stdout), { ...wanted, state: { from: 'file', file: bare } });
  });
});
