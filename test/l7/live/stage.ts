/**
 * One proxy host with three kinds of servers behind it, each under a host name of its own, so that the same bytes can be sent to all:
 * node.example.com, lenient.example.com and nginx.example.com, over plain HTTP on port 80 and over TLS on port 443.
 */
import type { Duplex } from 'node:stream';
import { eventually, ProxyHost, SERVER_PORT, serverAddress, VIP4 } from '../run-fixture.js';
import { Client } from './client.js';
import { type Conversation, converse } from './converse.js';
import { type Recorder, startNginx, startNode, type Understood } from './recorders.js';
import { type Relay, startRelay } from './relay.js';
import { connectTls } from './tls.js';

/** Stands for the host name of each server in what is sent. */
export const HOST = '{host}';

export interface Encounter {
  readonly server: string;
  readonly conversation: Conversation;
  /** Whole requests that the server understood. */
  readonly understood: readonly Understood[];
  readonly complaints: readonly string[];
}

export class Stage {
  readonly host: ProxyHost;
  readonly relay: Relay;
  readonly recorders: readonly Recorder[];
  /** One kept connection for each server: what comes over it was not sent by whom is tested. */
  readonly #barrierClient: Client;
  readonly #taken = new Map<Recorder, { requests: number; complaints: number }>();
  #barriers = 0;

  private constructor(host: ProxyHost, relay: Relay, recorders: readonly Recorder[]) {
    this.host = host;
    this.relay = relay;
    this.recorders = recorders;
    this.#barrierClient = new Client(() => this.connect(), true);
  }

  static async create(): Promise<Stage> {
    const host = await ProxyHost.create();
    try {
      const where = (number: number) => ({ address: serverAddress(number), port: SERVER_PORT });
      const { resources, namespace } = host;
      const recorders = await Promise.all([
        startNode(resources, namespace, { name: 'node', ...where(1), lenient: false }),
        startNode(resources, namespace, { name: 'lenient', ...where(2), lenient: true }),
        startNginx(resources, namespace, { name: 'nginx', ...where(3) }),
      ]);
      const upstream = (name: string, number: number) => ({
        health: { kind: 'none' },
        retries: 0,
        timeout: '5s',
        servers: [{ name, ...where(number) }],
      });
      const routes = recorders.map(({ name }) => ({ host: `${name}.example.com`, to: name }));
      host.configure({
        frontends: {
          plain: { services: ['http'], routes },
          web: { services: ['https'], certificates: host.certificates, routes },
        },
        upstreams: Object.fromEntries(recorders.map(({ name }, i) => [name, upstream(name, i + 1)])),
      });
      const [relay] = await Promise.all([startRelay(resources, namespace), host.start()]);
      return new Stage(host, relay, recorders);
    } catch (error) {
      await host.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#barrierClient.close();
    await this.host.close();
  }

  /** To the plain frontend. */
  connect(): Promise<Duplex> {
    return this.relay.connect({ address: VIP4, port: 80 });
  }

  /** With TLS, to the other frontend. */
  connectTls(serverName: string, alpn: readonly string[]): Promise<Duplex> {
    const { file } = this.host.authority;
    return connectTls(this.relay, { address: VIP4, port: 443, ca: file, serverName, alpn });
  }

  /** Sends the same text to each server over a connection of its own, and gives what came of it. */
  meet(text: string): Promise<Encounter[]> {
    return this.meetBy(async (host) => converse(await this.connect(), text.replaceAll(HOST, host)));
  }

  /** The same for a way to send of one's own. */
  meetBy<C extends Conversation>(
    send: (host: string) => Promise<C>,
  ): Promise<(Encounter & { conversation: C })[]> {
    return Promise.all(
      this.recorders.map(async (recorder) => {
        const conversation = await send(`${recorder.name}.example.com`);
        await this.#settle(recorder);
        const { name } = recorder;
        const taken = this.#taken.get(recorder) ?? { requests: 0, complaints: 0 };
        const [requests, complaints] = [recorder.requests(), recorder.complaints()];
        this.#taken.set(recorder, { requests: requests.length, complaints: complaints.length });
        const understood = requests.slice(taken.requests).filter(({ path }) => !path.startsWith('/barrier/'));
        return { server: name, conversation, understood, complaints: complaints.slice(taken.complaints) };
      }),
    );
  }

  /** Waits until the server has told of a request that was sent after all others, and that got its own answer. */
  async #settle(recorder: Recorder): Promise<void> {
    this.#barriers += 1;
    const path = `/barrier/${this.#barriers}`;
    const { status, body } = await this.#barrierClient.ask({ host: `${recorder.name}.example.com`, path });
    if (status !== 200 || JSON.parse(body).path !== path)
      throw new Error(`${recorder.name} answered another request than ${path}: ${status} ${body}`);
    await eventually(`${recorder.name} tells of ${path}`, () =>
      recorder.requests().some((one) => one.path === path),
    );
  }
}
