/**
 * A real gdnsd on a DNS host, with the printed configuration as it is, and real announcers of nodes in two regions: what the DNS answers
 * while they are ready, weigh more, drain, hang or die.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
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
import { PlayedNode } from './played-node.js';

const [EU4, EU6, ONLY_EU] = ['203.0.113.10', '2001:db8:1::10', '203.0.113.11'];
const [US4, US6, ZONE_US] = ['198.51.100.10', '2001:db8:2::10', '198.51.100.12'];
const EU = [EU4, EU6, ONLY_EU];
const US = [US4, US6, ZONE_US];
/** Of each node, and the numbers of their tables. */
const PORTS: Readonly<Record<string, number>> = { 'eu-1': 9001, 'eu-2': 9002, 'us-1': 9003 };
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

/** A DNS host with its own /run and /etc/gdnsd, and the announcers of three nodes beside it, each with a port and a table of its own. */
class Host {
  readonly resources = new Resources();
  readonly directory = this.resources.directory;
  readonly file = join(this.directory, 'anyhop.yaml');
  readonly played = {
    'eu-1': new PlayedNode('eu-1', EU),
    'eu-2': new PlayedNode('eu-2', EU),
    'us-1': new PlayedNode('us-1', US),
  };
  readonly #announcers = new Map<string, LabProcess>();
  #enter: string[] = [];

  async start(): Promise<void> {
    const namespace = this.resources.addNamespace('dns');
    const gdnsd = join(this.directory, 'gdnsd');
    mkdirSync(join(gdnsd, 'zones'), { recursive: true });
    const script = `mount -t tmpfs tmpfs /run && mount --bind ${gdnsd} /etc/gdnsd && ip link set lo up && echo there && exec sleep 3600`;
    const place = await this.resources.startProcess('place', namespace, ['sh', '-c', script]);
    await place.waitForLine((line) => line === 'there', 'place', 10_000);
    this.#enter = ['nsenter', `--target=${place.pid}`, '--mount', '--net'];
    const authority = await createAuthority(this.directory);
    for (const [name, node] of Object.entries(this.played)) {
      await authority.serverCertificate(join(this.directory, `${name}.pem`), [name]);
      this.weigh(name, 1);
      await node.start(join(this.directory, `${name}.sock`));
    }
    await authority.clientCertificate(join(this.directory, 'dns.pem'), 'dns-1');
    writeFileSync(this.file, `announce:\n  certificate: dns.pem\n${this.#regions()}`);
    const printed = (format: string, ...more: string[]) =>
      run([...PROGRAM, '-c', this.file, '--print', format, ...more]);
    const zone = ['--zone', 'example.com', '--name-server', 'ns1.example.com=192.0.2.53'];
    writeFileSync(join(gdnsd, 'config'), await printed('gdnsd'));
    writeFileSync(join(gdnsd, 'zones', 'example.com'), await printed('gdnsd-zone', ...zone));
  }

  /** Of the section `announce`. */
  #regions(weights: Readonly<Record<string, number>> = {}): string {
    const node = (name: string) =>
      `{name: ${name}, address: "127.0.0.1:${PORTS[name]}", weight: ${weights[name] ?? 1}}`;
    return `  ca_file: ca.pem
  region_file: ${this.directory}/regions/states
  regions:
    eu:
      nodes: [${node('eu-1')}, ${node('eu-2')}]
      vips: [{host: www, vip: ${EU4}}, {host: www, vip: "${EU6}"}, {host: only-eu, vip: ${ONLY_EU}}]
      nets: [127.0.1.0/24]
    us:
      nodes: [${node('us-1')}]
      vips: [{host: www, vip: ${US4}}, {host: www, vip: "${US6}"}, {host: "@", vip: ${ZONE_US}}]
      nets: [127.0.2.0/24]
`;
  }

  /** Writes the config of a node with this weight, which its announcer reads at its start or by SIGHUP. */
  weigh(name: string, weight: number): void {
    const services = [...EU, ...US].map(
      (vip, index) => `{name: s${index}, vip: "${vip}", protocol: tcp, port: 80, pool: web}`,
    );
    writeFileSync(
      join(this.directory, `${name}.yaml`),
      `node: {name: ${name}, socket: ${this.directory}/${name}.sock}
pools: {web: {backends: [{name: web-1, address: 10.1.0.11, agent: false}]}}
services: [${services.join(', ')}]
announce:
  table: ${PORTS[name]}
  rise: 0s
  listen: "127.0.0.1:${PORTS[name]}"
  certificate: ${name}.pem
${this.#regions({ [name]: weight })}`,
    );
    const running = this.#announcers.get(name);
    if (running !== undefined) process.kill(running.pid, 'SIGHUP');
  }

  async process(name: string, argv: readonly string[]): Promise<LabProcess> {
    return this.resources.startProcess(name, undefined, [...this.#enter, ...argv]);
  }

  async announce(name: string): Promise<void> {
    const file = join(this.directory, `${name}.yaml`);
    const started = await this.process(name, [...PROGRAM, '-c', file]);
    this.#announcers.set(name, started);
    await started.waitForEvent('region_available', 15_000);
  }

  /** To an announcer. */
  signal(name: string, signal: NodeJS.Signals): void {
    process.kill(this.#announcers.get(name)!.pid, signal);
  }

  weights(): string {
    return readFileSync(join(this.directory, 'regions', 'states.weights'), 'utf8');
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
  const { played } = host;
  let steering: LabProcess;

  before(async () => {
    await host.start();
    for (const name of Object.keys(played)) await host.announce(name);
    await host.run([...PROGRAM, '--region', '--prepare', '-c', host.file]);
    await host.run(['gdnsd', 'checkconf']);
    await host.process('gdnsd', ['gdnsd', 'start']);
    await until('gdnsd answers', async () => (await host.first('127.0.0.1')) !== 'none');
    steering = await host.process('region', [...PROGRAM, '--region', '-c', host.file]);
    await steering.waitForEvent('regions_written', 20_000);
  });
  after(async () => {
    for (const node of Object.values(played)) node.close();
    await host.resources.close();
  });

  const isNear = (share: number, expected: number) => Math.abs(share - expected) < 0.04; // more than four sigma of 4,000

  it('answers by the weights of the ready nodes, with a TTL of a minute, and follows a node that weighs more', async () => {
    const answers = await host.ask('www.example.com', 100);
    assert.deepEqual([...new Set(answers.map(({ ttl }) => ttl))], [TTL_S]);
    assert.ok(isNear(await host.share(EU4), 2 / 3));
    host.weigh('us-1', 6);
    await until('the new weight is in the file', () => host.weights().includes(`${US4}, 6`));
    await until('the share follows', async () => isNear(await host.share(EU4), 2 / 8));
    host.weigh('us-1', 1);
  });

  it('answers clients of a net with its region, IPv6 too, and others of the zone by what there is', async () => {
    for (let turn = 0; turn < 5; turn++) {
      assert.equal(await host.first('127.0.1.7'), EU4);
      assert.equal(await host.first('127.0.2.7'), US4);
      assert.equal(await host.first('127.0.1.7', 'www.example.com', 'AAAA'), EU6_HEX);
    }
    assert.equal(await host.first('127.0.1.7', 'example.com'), ZONE_US);
    assert.equal(await host.first('127.0.2.7', 'only-eu.example.com'), ONLY_EU);
  });

  it('shows what each node says, and changes nothing by that', async () => {
    const text = await host.run([...PROGRAM, '--region', '--once', '-c', host.file]);
    assert.match(text, /^eu-1 +eu +ready +1$/m);
    assert.match(text, /^www +us +up +1 +198\.51\.100\.10 2001:db8:2::10$/m);
    const { nodes } = JSON.parse(
      await host.run([...PROGRAM, '--region', '--once', '--json', '-c', host.file]),
    );
    assert.deepEqual(nodes[2].view.answer.vips[0], { vip: US4, state: 'announced' });
  });

  it('no longer answers with a region whose nodes drain, and does again when they are ready', async () => {
    played['us-1'].say({ stopping: true });
    await until('clients of us get eu', async () => (await host.first('127.0.2.7')) === EU4);
    assert.equal(await host.share(US4), 0);
    assert.match(
      await host.run([...PROGRAM, '--region', '--once', '-c', host.file]),
      /^us-1 +us +draining +1$/m,
    );
    played['us-1'].say({ stopping: false });
    await until('clients of us get us', async () => (await host.first('127.0.2.7')) === US4);
  });

  /** Sends the signal to the announcers of eu. @returns how long answers had eu, in ms */
  async function loseEurope(signal: NodeJS.Signals): Promise<number> {
    const argv = [process.execPath, script('dns-process'), 'www.example.com', 'A', '127.0.0.1', 'watch'];
    const watcher = await host.process('dns', argv);
    await watcher.waitForLine((line) => line.includes(EU4), 'an answer with eu', 10_000);
    const lostAt = Date.now();
    for (const name of ['eu-1', 'eu-2']) host.signal(name, signal);
    await until('clients of eu get us', async () => (await host.first('127.0.1.7')) === US4);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await watcher.stop();
    const answers = watcher.lines.map(heard).filter(({ at }) => at > lostAt);
    assert.equal(answers.filter(({ address }) => address === 'none').length, 0, 'every question is answered');
    assert.equal(answers.at(-1)?.address, US4);
    return (answers.filter(({ address }) => address === EU4).at(-1)?.at ?? lostAt) - lostAt;
  }

  it('has a region out of all answers within two seconds after its nodes hang, and back when they have answered for a while', async (t) => {
    const ms = await loseEurope('SIGSTOP');
    t.diagnostic(`last answer with eu after ${ms} ms`);
    assert.ok(ms <= 2_000, `the last answer with eu came ${ms} ms later`);
    for (const name of ['eu-1', 'eu-2']) host.signal(name, 'SIGCONT');
    await until('clients of eu get eu', async () => (await host.first('127.0.1.7')) === EU4);
    await until('eu has its weight', () => host.weights().includes(`${EU4}, 2`));
  });

  it('has a region out of all answers within two seconds after its nodes were killed', async (t) => {
    const ms = await loseEurope('SIGKILL');
    t.diagnostic(`last answer with eu after ${ms} ms`);
    assert.ok(ms <= 2_000, `the last answer with eu came ${ms} ms later`);
  });

  it('answers all regions when none has anything, which the log says, and the ready one alone as soon as there is one', async () => {
    played['us-1'].say({ ready: false });
    await steering.waitForEvent('regions_open', 10_000);
    await until('clients of eu get eu again', async () => (await host.first('127.0.1.7')) === EU4);
    const share = await host.share(EU4);
    assert.ok(isNear(share, 2 / 3), `the full weights: ${share}`);
    await host.announce('eu-1');
    await until('only eu is answered', async () => (await host.share(US4, 'www.example.com', 200)) === 0);
    played['us-1'].say({ ready: true });
    await host.announce('eu-2');
    await until('clients of us get us', async () => (await host.first('127.0.2.7')) === US4);
    await until('eu has its weight', () => host.weights().includes(`${EU4}, 2`));
  });

  it('goes on with what is known when the process ends, and with the states alone when its configuration is broken', async () => {
    const config = join(host.directory, 'gdnsd', 'config');
    const good = readFileSync(config, 'utf8');
    writeFileSync(config, `${good}\n}`);
    played['us-1'].say({ ready: false });
    await steering.waitForEvent('regions_not_written', 10_000);
    await until('clients of us get eu', async () => (await host.first('127.0.2.7')) === EU4);
    writeFileSync(config, good);
    await steering.stop();
    assert.equal(await host.first('127.0.2.7'), EU4);
    assert.equal(await host.first('127.0.1.7'), EU4);
    await host.run(['gdnsdctl', 'stop']);
  });
});
