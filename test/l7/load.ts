/** HTTP load on one address from this process: connections that stay and new ones, and every failure with its reason. */
import { Agent, get } from 'node:http';

/** GET / on a connection of the agent, or on one of its own. Resolves to the body; rejects also at a status other than 200. */
export function fetchText(address: string, agent: Agent | false = false, path = '/'): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({ host: address, port: 8080, path, agent, timeout: 20_000 }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => (text += part));
      answer.on('error', reject);
      answer.on('end', () =>
        answer.statusCode === 200 ? resolve(text) : reject(new Error(`status ${answer.statusCode}`)),
      );
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', reject);
  });
}

export class Load {
  requests = 0;
  readonly failures: string[] = [];
  readonly #agents: Agent[] = [];
  readonly #loops: Promise<void>[] = [];
  #isStopped = false;

  /** Starts so many loops of each kind. */
  constructor(address: string, { keepAlive, fresh }: { readonly keepAlive: number; readonly fresh: number }) {
    for (let i = 0; i < keepAlive; i++) {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      this.#agents.push(agent);
      this.#loops.push(this.#run(address, agent));
    }
    for (let i = 0; i < fresh; i++) this.#loops.push(this.#run(address, false));
  }

  /** Resolves when the last request is answered. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#loops);
    for (const agent of this.#agents) agent.destroy();
  }

  async #run(address: string, agent: Agent | false): Promise<void> {
    while (!this.#isStopped) {
      try {
        await fetchText(address, agent);
      } catch (error) {
        this.failures.push(`${agent === false ? 'new' : 'kept'} connection: ${(error as Error).message}`);
      }
      this.requests++;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}
