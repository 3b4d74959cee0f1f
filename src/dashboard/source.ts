/**
 * Asks the node and its siblings once a second while somebody watches, and nobody otherwise: a dashboard that is not looked at costs a node
 * nothing. What the page shows is never older than it says: without an answer the age grows, and the reason is told.
 */
import type { ServerResponse } from 'node:http';
import type { EventsReport } from '../api/api.js';
import type { NodeStatus } from '../api/status.js';
import { reasonOf } from '../core/reason.js';
import { askSocket } from './ask.js';
import { Board } from './board.js';
import { cardsOf, EVENT_PREFIXES, eventCards, glanceOf, STATUS_PREFIXES } from './cards.js';
import type { Siblings } from './siblings.js';
import { Watchers } from './watchers.js';
import type { Glance } from './wire.js';

const EVERY_MS = 1_000;
/** The status of a node with 65,535 backends has some 30 MB. */
const BOUNDS = { timeoutMs: 5_000, bytesMax: 128 * 1024 * 1024 };

export class Source {
  readonly board = new Board();
  readonly watchers = new Watchers(this.board);
  readonly #socket: string;
  readonly #siblings: Siblings;
  #timer: NodeJS.Timeout | undefined;
  #isAsking = false;
  #glance: Glance | undefined;
  #answeredAtMs: number | undefined;
  #silent: string | undefined;

  /** @param socket the node's control socket */
  constructor(socket: string, siblings: Siblings) {
    this.#socket = socket;
    this.#siblings = siblings;
  }

  /** From now on a browser watches. It is told what is known, and the node is asked. */
  watch(response: ServerResponse): void {
    this.watchers.add(response, () => this.#left());
    this.#tell();
    this.#timer ??= setInterval(() => this.#turn(), EVERY_MS);
    this.#turn();
  }

  close(): void {
    clearInterval(this.#timer);
    this.watchers.close();
    this.#siblings.close();
  }

  /** @throws Error when the node does not answer */
  async glance(): Promise<Glance> {
    return glanceOf((await askSocket(this.#socket, '/status', BOUNDS)) as NodeStatus);
  }

  /** Ends asking, if nobody watches any more. */
  #left(): void {
    if (this.watchers.count > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Each second something is told, also while an answer is waited for. */
  #turn(): void {
    if (this.#isAsking) {
      this.#tell();
      return;
    }
    this.#isAsking = true;
    void this.#askAll().finally(() => {
      this.#isAsking = false;
      this.#tell();
    });
    void this.#siblings.ask().then(() => this.#showPeers());
  }

  async #askAll(): Promise<void> {
    try {
      const status = (await askSocket(this.#socket, '/status', BOUNDS)) as NodeStatus;
      const events = (await askSocket(this.#socket, '/events', BOUNDS)) as EventsReport;
      this.board.replace(cardsOf(status), STATUS_PREFIXES);
      this.board.replace(eventCards(events), EVENT_PREFIXES);
      this.#glance = glanceOf(status);
      this.#answeredAtMs = performance.now();
      this.#silent = undefined;
    } catch (error) {
      this.#silent = reasonOf(error);
    }
    this.#showPeers();
  }

  #showPeers(): void {
    this.board.replace(this.#siblings.cards(this.#glance), ['peer/']);
  }

  #tell(): void {
    this.watchers.tell({
      ageMs: this.#answeredAtMs === undefined ? null : Math.round(performance.now() - this.#answeredAtMs),
      ...(this.#silent !== undefined && { silent: this.#silent }),
    });
  }
}
