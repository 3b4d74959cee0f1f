/**
 * A real gdnsd on a DNS host, with the printed configuration as it is, and nodes of two regions that are asked over TLS: what the DNS
 * answers while they are ready, weigh more, drain, die or lie.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createAuthority } from '../../../scripts/lab/certificates.js';
import { run } from '../../../scripts/lab/command.js';
import { PROGRAM as PROGRAM_FILE } from '../../../scripts/lab/lab.js';
import type { LabProcess } from '../../../scripts/lab/process.js';
import { Resources } from '../../../scripts/lab/resources.js';
import { missingForIsolation } from '../../isolation.js';
import { until } from './fixture.js';
import type { NodeFile } from './node-process.js';

const EU = ['203.0.113.10', '2001:db8:1::10'];
const US = ['198.51.100.10', '2001:db8:2::10'];
const [EU4 = '', EU6 = ''] = EU;
const [US4 = ''] = US;
const EU6_HEX = '20010db8000100000000000000000010';
const TTL_S = 60;
const PROGRAM = [process.execPath, PROGRAM_FILE, 'announce'];
const script = (name: string) => fileURLToPath(new URL(`./${name}.js`, import.meta.url));

interface Heard {
  readonly at: number;
  readonly address: string;
  readonly ttl: number;
}

function heard(line: string): Heard {
  const [at, address = '', ttl] = line.split(' ');
  return { at: Number(at), address, ttl: Number(ttl) };
}

/** A DNS host with its own /run and /etc/gdnsd, and the nodes beside it on loopback. */
class Host {
  readonly resources = new Resources();
  readonly directory = this.resources.directory;
  readonly file = join(this.directory, 'anyhop.yaml');
  readonly #nodes = new Map<string, LabProcess>();
  #enter: string[] = [];

  async start(): Promise<void> {
    const namespace = this.resources.addNamespace('dns');
    const gdnsd = join(this.directory, 'gdnsd');
    mkdirSync(join(gdnsd, 'zones'), { recursive: true });
    mkdirSync(join(this.directory, 'regions'));
    const place = await this.resources.startProcess('place', namespace, [
      'sh',
      '-c',
      `mount -t tmpfs tmpfs /run && mount --bind ${gdnsd} /etc/gdnsd && ip link set lo up && echo there && exec sleep 3600`,
    ]);
    await place.waitForLine((line) => line === 'there', 'place', 10_000);
    this.#enter = ['nsenter', `--target=${place.pid}`, '--mount', '--net'];
    const authority = await createAuthority(this.directory);
    const nodes = { 'eu-1': 'eu', 'eu-2': 'eu', 'us-1': 'us' };
    for (const [index, [node, region]] of Object.entries(nodes).entries()) {
      const certificate = join(this.directory, `${node}.pem`);
      await authority.serverCertificate(certificate, [node]);
      const vips = region === 'eu' ? EU : US;
      await this.say({
        node,
        region,
        weight: 1,
        port: 9001 + index,
        certificate,
        authority: authority.file,
        state: 'announced',
        vips,
      });
    }
    await authority.clientCertificate(join(this.directory, 'dns.pem'), 'dns-1');
    writeFileSync(this.file, this.config());
    const printed = (format: string, ...more: string[]) =>
      run([...PROGRAM, '-c', this.file, '--print', format, ...more]);
    const zone = ['--zone', 'example.com', '--name-server', 'ns1.example.com=192.0.2.53'];
    writeFileSync(join(gdnsd, 'config'), await printed('gdnsd'));
    writeFileSync(join(gdnsd, 'zones', 'example.com'), await printed('gdnsd-zone', ...zone));
  }

  config(): string {
    return `announce:
  certificate: dns.pem
  ca_file: ca.pem
  region_file: ${this.directory}/regions/states
  regions:
    eu:
      nodes: [{name: eu-1, address: "127.0.0.1:9001"}, {name: eu-2, address: "127.0.0.1:9002"}]
      vips: [{host: www, vip: ${EU4}}, {host: www, vip: "${EU6}"}, {host: only-eu, vip: 203.0.113.11}]
      nets: [127.0.1.0/24]
    us:
      nodes: [{name: us-1, address: "127.0.0.1:9003"}]
      vips: [{host: www, vip: ${US4}}, {host: www, vip: "${US[1]}"}, {host: "@", vip: 198.51.100.12}]
      nets: [127.0.2.0/24]
`;
  }

  async process(name: string, argv: readonly string[]): Promise<LabProcess> {
    return this.resources.startProcess(name, undefined, [...this.#enter, ...argv]);
  }

  async startNode(name: string): Promise<void> {
    const started = await this.process(name, [
      process.execPath,
      script('node-process'),
      join(this.directory, `${name}.json`),
    ]);
    this.#nodes.set(name, started);
    await started.waitForEvent('region_available', 15_000);
  }

  async stopNode(name: string, signal: NodeJS.Signals): Promise<void> {
    await this.#nodes.get(name)!.stop(signal);
  }

  /** What a node answers from now on; more than what it said before. */
  async say(change: Partial<NodeFile> & Pick<NodeFile, 'node'>): Promise<void> {
    const file = join(this.directory, `${change.node}.json`);
    const before = 'port' in change ? {} : JSON.parse(readFileSync(file, 'utf8'));
    await writeFile(`${file}.new`, JSON.stringify({ ...before, ...change }));
    await rename(`${file}.new`, file);
  }

  async ask(name: string, count: number, source = '127.0.0.1', type = 'A'): Promise<Heard[]> {
    const argv = [process.execPath, script('dns-process'), name, type, source, `${count}`];
    const text = await run([...this.#enter, ...argv], { timeoutMs: 60_000 });
    return text.trim().split('\n').map(heard);
  }

  async share(address: string, name = 'www.example.com', count = 4_000): Promise<number> {
    const answers = await this.ask(name, count);
    assert.equal(answers.filter((each) => each.address === 'none').length, 0, 'no question is lost');
    return answers.filter((each) => each.address === address).length / answers.length;
  }

  async first(source: string, name = 'www.example.com', type = 'A'): Promise<string> {
    return (await this.ask(name, 1, source, type))[0]!.address;
  }

  run(argv: readonly string[]): Promise<string> {
    return run([...this.#enter, ...argv]);
  }
}

describe('gdnsd with regions', {
  skip: missingForIsolation('gdnsd', 'gdnsdctl', 'nsenter', 'openssl'),
}, () => {
  const host = new Host();
  let steering: LabProcess;

  before(async () => {
    await host.start();
    for (const name of ['eu-1', 'eu-2', 'us-1']) await host.startNode(name);
    steering = await host.process('region', [...PROGRAM, '--region', '-c', host.file]);
    await until('the files are written', () => {
      try {
        return readFileSync(join(host.directory, 'regions', 'states.weights'), 'utf8') !== '';
      } catch {
        return false;
      }
    });
    await host.run(['gdnsd', 'checkconf']);
    await host.process('gdnsd', ['gdnsd', 'start']);
    await until('gdnsd answers', async () => (await host.first('127.0.0.1')) !== 'none');
    // The reload that failed while there was no gdnsd is tried again.
    await steering.waitForEvent('regions_written', 20_000);
  });
  after(() => host.resources.close());

  const isNear = (share: number, expected: number) => Math.abs(share - expected) < 0.04; // more than four sigma of 4,000

  it('answers by the weights of the ready nodes, with a TTL of a minute, and follows a node that weighs more', async () => {
    const answers = await host.ask('www.example.com', 100);
    assert.deepEqual([...new Set(answers.map(({ ttl }) => ttl))], [TTL_S]);
    assert.ok(isNear(await host.share(EU4), 2 / 3));
    await host.say({ node: 'us-1', weight: 6 });
    await until('the new weight is in the file', () =>
      readFileSync(join(host.directory, 'regions', 'states.weights'), 'utf8').includes(`${US4}, 6`),
    );
    await until('the share follows', async () => isNear(await host.share(EU4), 2 / 8));
    await host.say({ node: 'us-1', weight: 1 });
  });

  it('answers clients of a net with its region, IPv6 too, and others of the zone by what there is', async () => {
    for (let turn = 0; turn < 5; turn++) {
      assert.equal(await host.first('127.0.1.7'), EU4);
      assert.equal(await host.first('127.0.2.7'), US4);
      assert.equal(await host.first('127.0.1.7', 'www.example.com', 'AAAA'), EU6_HEX);
    }
    assert.equal(await host.first('127.0.1.7', 'example.com'), '198.51.100.12');
    assert.equal(await host.first('127.0.2.7', 'only-eu.example.com'), '203.0.113.11');
  });

  it('no longer answers with a region whose nodes drain, and does again when they are ready', async () => {
    await host.say({ node: 'us-1', state: 'draining' });
    await until('clients of us get eu', async () => (await host.first('127.0.2.7')) === EU4);
    assert.equal(await host.share(US4), 0);
    await host.say({ node: 'us-1', state: 'announced' });
    await until('clients of us get us', async () => (await host.first('127.0.2.7')) === US4);
  });

  it('has a region out of all answers within two seconds after its nodes were killed', async () => {
    const watcher = await host.process('dns', [
      process.execPath,
      script('dns-process'),
      'www.example.com',
      'A',
      '127.0.0.1',
      'watch',
    ]);
    await watcher.waitForLine((line) => line.includes(EU4), 'an answer with eu', 10_000);
    const killed = Date.now();
    await Promise.all(['eu-1', 'eu-2'].map((name) => host.stopNode(name, 'SIGKILL')));
    await steering.waitForLine(
      (line) => line.includes('"event":"region"') && line.includes('is down for www'),
      'eu down',
      10_000,
    );
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    await watcher.stop();
    const answers = watcher.lines.map(heard).filter(({ at }) => at > killed);
    assert.equal(answers.filter(({ address }) => address === 'none').length, 0, 'every question is answered');
    const last = answers.filter(({ address }) => address === EU4).at(-1)?.at ?? killed;
    assert.ok(last - killed <= 2_000, `the last answer with eu came ${last - killed} ms later`);
    assert.ok(answers.filter(({ at }) => at > killed + 2_000).length > 20, 'asked on');
    assert.equal(await host.first('127.0.1.7'), US4, 'clients of eu get us');
  });

  it('answers all regions when none has anything, which the log says, and the ready one alone as soon as there is one', async () => {
    await host.say({ node: 'us-1', state: 'withdrawn' });
    await steering.waitForEvent('regions_open', 10_000);
    await until('clients of eu get eu again', async () => (await host.first('127.0.1.7')) === EU4);
    const share = await host.share(EU4);
    assert.ok(isNear(share, 2 / 3), `the last weights: ${share}`);
    await host.startNode('eu-1');
    await until('only eu is answered', async () => (await host.share(US4, 'www.example.com', 200)) === 0);
    await host.say({ node: 'us-1', state: 'announced' });
    await host.startNode('eu-2');
    await until('all are back', () => {
      const text = readFileSync(join(host.directory, 'regions', 'states.weights'), 'utf8');
      return text.includes(`${EU4}, 2`);
    });
  });

  it('goes on with what is known when the process ends, and with the states alone when its configuration is broken', async () => {
    const config = join(host.directory, 'gdnsd', 'config');
    const good = readFileSync(config, 'utf8');
    writeFileSync(config, `${good}\n}`);
    await host.say({ node: 'us-1', state: 'withdrawn' });
    await steering.waitForEvent('regions_not_written', 10_000);
    await until('clients of us get eu', async () => (await host.first('127.0.2.7')) === EU4);
    writeFileSync(config, good);
    await steering.stop();
    assert.equal(await host.first('127.0.2.7'), EU4);
    assert.equal(await host.first('127.0.1.7'), EU4);
    await host.run(['gdnsdctl', 'stop']);
  });
});
