/** The store of the demo as an operator of etcd has it: saved, lost, and brought back from what was saved. */
import { join } from 'node:path';
import { inNamespace, run } from '../lab/command.js';
import type { Machines } from './machines.js';

/** Of scripts/lab/fleet.ts, which has one server. */
const CLUSTER = ['--name', 'store', '--initial-cluster', 'store=http://127.0.0.1:2380'];
const PEER = ['--initial-advertise-peer-urls', 'http://127.0.0.1:2380'];

export class DemoStore {
  readonly #machines: Machines;
  readonly #snapshot: string;
  #etcd: Machines['members']['etcd'];

  constructor(machines: Machines) {
    this.#machines = machines;
    this.#snapshot = join(machines.lab.resources.tmpfs(), 'snapshot');
    this.#etcd = machines.members.etcd;
  }

  async save(): Promise<void> {
    await this.#etcdctl('snapshot', 'save', this.#snapshot);
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.#etcd.kill();
    await this.#etcd.exited;
  }

  /** Starts it with what was saved; what was written since is lost. */
  async restore(): Promise<void> {
    const directory = join(this.#machines.lab.resources.tmpfs(), 'restored');
    await this.#etcdctl('snapshot', 'restore', this.#snapshot, '--data-dir', directory, ...CLUSTER, ...PEER);
    this.#etcd = await this.#machines.members.startStore(directory);
  }

  #etcdctl(...command: string[]): Promise<string> {
    const { store, endpoint } = this.#machines.members;
    return run(inNamespace(store.namespace, ['etcdctl', '--endpoints', endpoint, ...command]));
  }

  tail(): string {
    return this.#etcd.tail();
  }
}
