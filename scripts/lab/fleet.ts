/**
 * A lab whose machines are in a fleet: etcd on a machine of its own, and each forwarder and backend with a config file that says where the
 * store is and what is the machine's own. What they serve comes from the store.
 *
 *   const fleet = await createLabFleet(lab);
 *   await fleet.startAll();
 *   await fleet.anyhop(['fleet', 'apply', file]);
 */
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import { inNamespace, run } from './command.js';
import { LAB_KEY } from './config.js';
import { type Lab, PROGRAM } from './lab.js';
import type { LabProcess } from './process.js';
import { HOST_LINK, type Host, serverAddresses } from './topology.js';

const CLIENT_PORT = 2379;
const STORE_NUMBER = 200;
const READY_MS = 30_000;
const LOOK_MS = 200;
/** A change may wait until the one before it has settled. */
const COMMAND_MS = 60_000;
/** Two of them have no longer one than etcd's own: a busy machine stalls. */
const [HEARTBEAT_MS, ELECTION_MS] = [300, 3_000];

export interface LabFleet {
  readonly store: Host;
  readonly endpoint: string;
  readonly etcd: LabProcess;
  /** Starts the store again, with what it had, or with what a snapshot had. */
  startStore(directory?: string): Promise<LabProcess>;
  /** The config that all hosts have in common, as a file to be applied. */
  readonly file: string;
  /** Rewrites that file. */
  // biome-ignore lint/suspicious/noExplicitAny: a config file as it is written, which no type describes
  change(edit: (config: any) => void): void;
  /** Gives every machine another secret beside those that it has, and waits until all forwarders have told the fleet of it. */
  addSecret(digits: string): Promise<void>;
  /** A machine's own file. */
  fileOf(host: Host): string;
  /** Starts `anyhop run` (index from 0), and waits for an event of its log. */
  startForwarder(
    index: number,
    options?: { readonly program?: string; readonly until?: string },
  ): Promise<LabProcess>;
  startAgent(index: number, options?: { readonly until?: string }): Promise<LabProcess>;
  /** Runs an anyhop command as the operator, on the machine of the store; resolves to its output. @throws with what it wrote to standard error */
  anyhop(args: readonly string[]): Promise<string>;
}

/** Makes the store and the files; no anyhop program runs yet. */
export async function createLabFleet(
  lab: Lab,
  { views = 'own' }: { readonly views?: 'own' | 'quorum' } = {},
): Promise<LabFleet> {
  const store = await lab.addMachine('store', serverAddresses(STORE_NUMBER));
  const at = (...names: string[]): string => join(lab.resources.directory, ...names);
  const endpoint = `http://${store.host4}:${CLIENT_PORT}`;
  const startStore = async (directory = join(lab.resources.tmpfs(), 'etcd')): Promise<LabProcess> => {
    const etcd = await lab.resources.startProcess('etcd', store.namespace, [
      'etcd',
      ...['--name', 'store', '--data-dir', directory],
      ...['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint],
      ...[
        '--listen-peer-urls',
        'http://127.0.0.1:2380',
        '--initial-advertise-peer-urls',
        'http://127.0.0.1:2380',
      ],
      ...['--initial-cluster', 'store=http://127.0.0.1:2380'],
      ...['--heartbeat-interval', String(HEARTBEAT_MS), '--election-timeout', String(ELECTION_MS)],
    ]);
    await etcd.waitForLine((line) => line.includes('ready to serve'), 'that it serves', READY_MS);
    return etcd;
  };
  const etcd = await startStore();
  const [key, secret] = [at('operator.key'), at('secret')];
  writeFileSync(secret, `${LAB_KEY}\n`, { mode: 0o600 });
  const anyhop = (args: readonly string[]): Promise<string> =>
    run(inNamespace(store.namespace, [process.execPath, PROGRAM, ...args]), { timeoutMs: COMMAND_MS });
  const section = parse(
    await anyhop(['fleet', 'init', '--name', 'lab', '--endpoint', endpoint, '--key', key]),
  );
  section.fleet.views = views;
  // biome-ignore lint/suspicious/noExplicitAny: a config file as it is written
  const whole: any = parse(readFileSync(lab.configFile, 'utf8'));
  const { key: _, bpffs, ...common } = whole.node;
  const file = at('fleet.yaml');
  const own = at('store.yaml');
  writeFileSync(own, stringify(section));
  // biome-ignore lint/suspicious/noExplicitAny: a config file as it is written
  const write = (config: any): void => writeFileSync(file, stringify(config));
  write({ ...whole, node: common });
  const fileOf = ({ name }: Host): string => at(`${name}-own.yaml`);
  for (const host of [...lab.forwarders, ...lab.backends]) {
    const state = join(lab.resources.tmpfs(), `${host.name}.state`);
    mkdirSync(state, { recursive: true, mode: 0o700 });
    const node = {
      name: host.name,
      bpffs,
      key_file: secret,
      state_dir: state,
      socket: at(`${host.name}.sock`),
    };
    writeFileSync(fileOf(host), stringify({ node, agent: { bpffs }, ...section }), { mode: 0o600 });
  }
  const start = async (
    command: string,
    host: Host,
    args: readonly string[],
    program: string,
    until: string,
  ): Promise<LabProcess> => {
    const place = ['-c', fileOf(host), '--interface', HOST_LINK, ...args];
    const started = await lab.resources.startProcess(`anyhop ${command} ${host.name}`, host.namespace, [
      process.execPath,
      program,
      command,
      ...place,
    ]);
    await started.waitForEvent(until, READY_MS);
    return started;
  };
  const addSecret = async (digits: string): Promise<void> => {
    appendFileSync(secret, `${digits}\n`);
    for (const end = Date.now() + READY_MS; ; await delay(LOOK_MS)) {
      if (/all forwarders hold also/.test(await operate(['fleet', 'status']))) return;
      if (Date.now() > end) throw new Error('forwarders do not tell of their secrets');
    }
  };
  const operate = (args: readonly string[]): Promise<string> => {
    const isQuestion = args[0] === 'fleet' && !['apply', 'rollback', 'rotate-key'].includes(args[1] ?? '');
    return anyhop([...args, '-c', own, ...(isQuestion ? [] : ['--key', key])]);
  };
  return {
    store,
    endpoint,
    etcd,
    startStore,
    file,
    change: (edit) => {
      const config = parse(readFileSync(file, 'utf8'));
      edit(config);
      write(config);
    },
    fileOf,
    startForwarder: (index, { program = PROGRAM, until = 'ready' } = {}) => {
      const host = lab.forwarders[index]!;
      return start('run', host, ['--source', host.host4, '--source', host.host6], program, until);
    },
    startAgent: (index, { until = 'ready' } = {}) => start('agent', lab.backends[index]!, [], PROGRAM, until),
    anyhop: operate,
    addSecret,
  };
}
