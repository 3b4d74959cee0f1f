/**
 * BIRD on the forwarders of a lab and on its router, with the configurations that `anyhop announce --print` writes, and `anyhop announce`
 * beside each node. Forwarders count from 1, as their names do.
 */
import { run } from '../command.js';
import { type Lab, PROGRAM } from '../lab.js';
import type { LabProcess } from '../process.js';
import { type Bird, startBird } from './bird.js';

const ROUTER_ID = '10.255.255.254';

export class AnnouncedLab {
  readonly #lab: Lab;
  readonly #fileOf: (index: number) => string;

  /** @param fileOf the config file that a forwarder reads (index from 0) */
  constructor(lab: Lab, fileOf: (index: number) => string) {
    this.#lab = lab;
    this.#fileOf = fileOf;
  }

  /** Of the router, which takes what every forwarder announces. */
  async startRouter(): Promise<Bird> {
    const { forwarders, router, resources } = this.#lab;
    const neighbors = forwarders.flatMap(({ host4, host6 }) => ['--neighbor', host4, '--neighbor', host6]);
    const config = await this.printed(1, ['bird-router', ...neighbors, '--router-id', ROUTER_ID]);
    return await startBird(resources, { name: 'router', namespace: router }, config);
  }

  async startBird(forwarder: number): Promise<Bird> {
    const host = this.#lab.forwarders[forwarder - 1]!;
    const { host4, router4, router6 } = host;
    const options = ['--router-id', host4, '--neighbor', router4, '--neighbor', router6];
    return await startBird(this.#lab.resources, host, await this.printed(forwarder, ['bird', ...options]));
  }

  async startAnnouncer(forwarder: number): Promise<LabProcess> {
    const { name, namespace } = this.#lab.forwarders[forwarder - 1]!;
    return await this.#lab.resources.startProcess(`announce ${name}`, namespace, this.#command(forwarder));
  }

  /** A daemon's configuration as anyhop prints it. @param what name of the format, and its options */
  printed(forwarder: number, what: readonly string[]): Promise<string> {
    return run([...this.#command(forwarder), '--print', ...what]);
  }

  /** The command on a forwarder, for which options follow. */
  #command(forwarder: number): string[] {
    const { name } = this.#lab.forwarders[forwarder - 1]!;
    return [process.execPath, PROGRAM, 'announce', '-c', this.#fileOf(forwarder - 1), '--name', name];
  }
}
