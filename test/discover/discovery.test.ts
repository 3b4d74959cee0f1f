import { deepEqual, equal, ok } from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FoundGroups, withFound } from '#anyhop/config/edit/found.js';
import { parseConfig } from '#anyhop/config/load.js';
import { Discovery, type DiscoveryHost } from '#anyhop/discover/discovery.js';
import { type Group, groupsOf } from '#anyhop/discover/groups.js';
import { RecentStates } from '#anyhop/discover/recent.js';
import { type Logged, recordingLog } from '../fleet/fleet.js';

const WAIT_MS = 5_000;

let directory: string;
let discovery: Discovery | undefined;
let logged: Logged[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'anyhop-discover-'));
  logged = [];
});
afterEach(async () => {
  await discovery?.close();
  discovery = undefined;
  rmSync(directory, { recursive: true });
});

function configText(source: string, backends: string): string {
  return `# the pool of the web servers
pools:
  web: # one
    settle_time: 1h
    backends_from: { file: ${source}, allowed_addresses: [10.1.0.0/16], debounce: 20ms }
    backends:
${backends}
services:
  - { name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web } # all of it
`;
}

const THREE = [1, 2, 3].map((n) => `      - { name: web-${n}, address: 10.1.0.${n} }`).join('\n');

/** A host whose config is a text. */
class TextHost implements DiscoveryHost {
  readonly recent = new RecentStates();
  readonly drained = new Set<string>();
  text: string;
  waits: string[] = [];
  refuses: string | undefined;
  applied = 0;

  constructor(text: string) {
    this.text = text;
  }

  groups(): readonly Group[] {
    return groupsOf(parseConfig(this.text, 'anyhop.yaml', { role: 'pools' }));
  }

  isDrained(_group: Group, backend: string): boolean {
    return this.drained.has(backend);
  }

  async apply(found: FoundGroups): Promise<readonly string[]> {
    if (this.refuses !== undefined) throw new Error(this.refuses);
    if (this.waits.length > 0) return this.waits;
    this.applied++;
    this.text = withFound(this.text, 'anyhop.yaml', found);
    return [];
  }

  entries(): string[] {
    return this.text.split('\n').flatMap((line) => /^ +- (\{ name: web-.*\})/.exec(line)?.[1] ?? []);
  }
}

function start(text: string): TextHost {
  const host = new TextHost(text);
  discovery = new Discovery({ host, log: recordingLog(logged) });
  return host;
}

function write(name: string, numbers: readonly number[]): void {
  const list = numbers.map((n) => ({ name: `web-${n}`, address: `10.1.0.${n}` }));
  const path = join(directory, name);
  writeFileSync(`${path}.new`, JSON.stringify(list));
  renameSync(`${path}.new`, path);
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!holds()) {
    ok(performance.now() < end, `${what} did not come: ${JSON.stringify([discovery?.status, logged])}`);
    await sleep(10);
  }
}

const alarm = () => discovery?.status[0]?.alarm;

describe('a pool whose backends come from a file', () => {
  test('follows the file, and nothing else of the config changes', async () => {
    const file = join(directory, 'web.json');
    write('web.json', [1, 2, 3, 4]);
    const host = start(configText(file, THREE));
    await until('web-4', () => host.entries().length === 4);
    write('web.json', [2, 3, 4]);
    await until('the drain', () => host.text.includes('leaves'));
    deepEqual(host.entries(), [
      '{ name: web-1, address: 10.1.0.1, state: draining, leaves: true }',
      '{ name: web-2, address: 10.1.0.2 }',
      '{ name: web-3, address: 10.1.0.3 }',
      '{ name: web-4, address: 10.1.0.4 }',
    ]);
    host.drained.add('web-1');
    await until('the end of the drain', () => host.entries().length === 3);
    const rest = THREE.replaceAll('web-3', 'web-4')
      .replaceAll('0.3', '0.4')
      .replaceAll('web-2', 'web-3')
      .replaceAll('0.2', '0.3')
      .replaceAll('web-1', 'web-2')
      .replaceAll('0.1 ', '0.2 ');
    equal(host.text, configText(file, rest));
    equal(alarm(), undefined);
  });

  test('joins the files of a directory, and takes none of them when one is wrong', async () => {
    const lists = join(directory, 'web.d');
    mkdirSync(lists);
    write('web.d/a.json', [1, 2]);
    writeFileSync(
      join(lists, 'b.yaml'),
      '- { name: web-3, address: 10.1.0.3 }\n- { name: web-4, address: 10.1.0.4 }\n',
    );
    const host = start(configText(lists, THREE));
    await until('web-4', () => host.entries().length === 4);
    writeFileSync(join(lists, 'b.yaml'), '- { name: web-3, adress: 10.1.0.3 }\n');
    await until('the alarm', () => alarm() !== undefined);
    equal(alarm()?.kind, 'no_answer');
    ok(alarm()?.text.includes('b.yaml [0]: has the unknown key adress'), alarm()?.text);
    equal(host.entries().length, 4);
    write('web.d/b.yaml', [3, 5]);
    await until('web-5', () => host.text.includes('web-5'));
    await until('the end of the alarm', () => alarm() === undefined);
    deepEqual(
      logged.map(({ event }) => event).filter((event) => event !== 'discovered'),
      ['discovery_alarm', 'discovery_well'],
    );
  });

  test('keeps what it has when the file is gone or empty, and says so', async () => {
    const file = join(directory, 'web.json');
    const host = start(configText(file, THREE));
    await until('the alarm', () => alarm()?.kind === 'no_answer');
    equal(alarm()?.text, `${file}: it does not exist`);
    write('web.json', []);
    await until('the alarm', () => alarm()?.kind === 'empty');
    write('web.json', [1]);
    await until('the alarm', () => alarm()?.kind === 'too_few');
    equal(host.applied, 0);
    write('web.json', [1, 2, 3]);
    await until('the end of the alarm', () => alarm() === undefined);
    equal(host.applied, 0);
  });

  test('does not begin a change that would wait, and says what is refused', async () => {
    write('web.json', [1, 2, 3, 4]);
    const host = start(configText(join(directory, 'web.json'), THREE));
    host.waits = ['pool web: until 12:00'];
    await until('the wait', () => discovery?.status[0]?.waits !== undefined);
    deepEqual(discovery?.status[0]?.waits, host.waits);
    equal(host.applied, 0);
    await discovery?.close();
    discovery = new Discovery({ host, log: recordingLog(logged) });
    host.waits = [];
    host.refuses = 'no';
    await until('the alarm', () => alarm()?.kind === 'refused');
    equal(alarm()?.text, 'web: web-4 joins is refused: no');
  });

  test('takes the change of one pool where that of another one is refused', async () => {
    write('web.json', [1, 2, 3, 4]);
    const lines = configText(join(directory, 'web.json'), THREE);
    const web = lines.slice(lines.indexOf('  web:'), lines.indexOf('services:'));
    const host = start(lines.replace('services:', `${web.replace('  web:', '  other:')}services:`));
    const apply = host.apply.bind(host);
    host.apply = async (found) => {
      if (found.has('pool other')) throw new Error('no');
      return apply(found);
    };
    await until('web-4', () => host.entries().length === 7);
    await until('the alarm', () => discovery?.status[1]?.alarm?.kind === 'refused');
    equal(discovery?.status[1]?.alarm?.text, 'other: web-4 joins is refused: no');
    equal(alarm(), undefined);
  });
});
