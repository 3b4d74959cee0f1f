/**
 * Asks the node and its siblings once a second while somebody watches, and nobody otherwise: a dashboard that is not looked at costs a node
 * nothing. What the page shows is never older than it says: without an answer the age grows, and the reason is told.
 */
import type { ServerResponse } from 'node:http';
import { fleetView } from '../view/fleet.js';
import type { AskedNode } from './asked-node.js';
import { Board } from './board.js';
import { cardsOf } from './cards.js';
import { Watchers } from './watchers.js';

const EVERY_MS = 1_000;

export class Source {
  readonly watchers: Watchers;
  readonly #board = new Board();
  readonly #name: string;
  readonly #own: AskedNode;
  readonly #siblings: readonly AskedNode[];
  #timer: NodeJS.Timeout | undefined;
  #isAsking = false;

  /** @param name of the node itself */
  constructor(name: string, own: AskedNode, siblings: readonly AskedNode[]) {
    this.#name = name;
    this.#own = own;
    this.#siblings = siblings;
    this.watchers = new Watchers(this.#board);
  }

  /** From now on a browser watches. It is told what is known, and the nodes are asked. */
  watch(response: ServerResponse): void {
    this.watchers.add(response, () => this.#left());
    this.#tell();
    const isFirst = this.#timer === undefined;
    this.#timer ??= setInterval(() => this.#turn(), EVERY_MS);
    this.#turn(isFirst);
  }

  close(): void {
    clearInterval(this.#timer);
    this.watchers.close();
  }

  /** Ends asking, if nobody watches any more. */
  #left(): void {
    if (this.watchers.count > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /**
   * A node that answers late is told of late, and keeps nobody else waiting. Only the first turn waits for all, until the next one: what
   * they said when somebody looked before is old, and nobody is silent for that.
   */
  #turn(isFirst = false): void {
    const asked = this.#siblings.map((sibling) => sibling.ask());
    if (this.#isAsking) {
      this.#show();
      return;
    }
    this.#isAsking = true;
    const own = this.#own.ask().then(() => {
      this.#isAsking = false;
      if (!isFirst) this.#show();
    });
    if (isFirst) void Promise.all([own, ...asked]).then(() => this.#show());
  }

  #show(): void {
    const nodes = [this.#own, ...this.#siblings].map(({ seen }) => seen);
    const own = nodes[0].answer?.status.node ?? this.#name;
    this.#board.replace(cardsOf(fleetView(nodes, Date.now()), nodes, own), ['']);
    this.#tell();
  }

  /** Of the node that answered last: one that hangs does not make old what the others say. */
  #tell(): void {
    const nodes = [this.#own, ...this.#siblings].map(({ seen }) => seen);
    const latest = nodes.reduce((most, { answer }) => Math.max(most, answer?.at ?? 0), 0);
    const isSilent = nodes.every(({ silence, answer }) => silence !== undefined || answer === undefined);
    const { silence } = nodes[0];
    this.watchers.tell({
      ageMs: latest === 0 ? null : Math.max(0, Date.now() - latest),
      ...(isSilent && silence !== undefined && { silent: silence }),
    });
  }
}
