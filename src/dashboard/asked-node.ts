/**
 * A node that is asked while somebody watches: this one through its control socket, a sibling over mutual TLS from the host that its
 * certificate names. What it said last stays, with when that was and why it says no more.
 */
import type { Agent, RequestOptions } from 'node:https';
import type { NodeEvent } from '../api/api.js';
import { FLEET_RECORD_BYTES_MAX } from '../core/limits.js';
import { reasonWithPlace } from '../core/reason.js';
import type { Answer, NodeSeen } from '../view/seen.js';
import { asEvents, asStatus } from '../view/shape.js';
import type { Mounted } from '../web/pages.js';
import { askSocket, askTls } from './ask.js';

/** Where a dashboard tells what its node says: a NodeReport. */
export const NODE_PATH = '/api/node';
/** Where it tells which revision of its fleet the node has: a RevisionReport. */
export const REVISION_PATH = '/api/revision';
/** The status of a node with 65,535 backends has some 30 MB. */
const OWN_BOUNDS = { timeoutMs: 5_000, bytesMax: 64 * 1024 * 1024 };
/** In foreign hands: some 20,000 backends. */
const SIBLING_BOUNDS = { timeoutMs: 2_500, bytesMax: 16 * 1024 * 1024 };
export const REVISION_BOUNDS = { timeoutMs: 2_500, bytesMax: 4 * FLEET_RECORD_BYTES_MAX };

/** What a value takes in memory has nothing to do with what it takes in text: 16 MB of empty lists were 200 MB. */
const SIBLING_VALUES_MAX = 1_000_000;
const [QUOTE, BACKSLASH, ...BEFORE_VALUES] = [...'"\\[{:,'].map((char) => char.charCodeAt(0));

/** What a node says: answers of its control API, as text. */
export type Ask = () => Promise<{ readonly status: string; readonly events: string }>;

type Credentials = Pick<Mounted, 'tls' | 'login'>;

export interface Sibling {
  /** Whom its certificate must be for. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export function ownNode(socket: string): Ask {
  return async () => ({
    status: await askSocket(socket, '/status', OWN_BOUNDS),
    events: await askSocket(socket, '/events', OWN_BOUNDS),
  });
}

/** Asked with the certificate, and as the user, that this node's own listener has: a fleet reads one config. */
function wayTo(
  { name, host, port }: Sibling,
  { tls, login }: Credentials,
  agent: Agent,
  path: string,
): RequestOptions {
  const own = tls && Buffer.from(tls.certificate);
  return {
    host,
    port,
    agent,
    path,
    servername: name,
    ...(own && { cert: own, key: own }),
    ...(login && { auth: `${login.user}:${Buffer.from(login.password).toString()}` }),
    ...(tls?.authorities && { ca: Buffer.from(tls.authorities) }),
  };
}

/** The text of its RevisionReport. @param credentials of this node's own listener */
export function siblingRevision(
  asked: Sibling,
  credentials: Credentials,
  agent: Agent,
): () => Promise<string> {
  const options = wayTo(asked, credentials, agent, REVISION_PATH);
  return () => askTls(options, REVISION_BOUNDS);
}

/** @param credentials of this node's own listener */
export function sibling(asked: Sibling, credentials: Credentials, agent: Agent): Ask {
  const options = wayTo(asked, credentials, agent, NODE_PATH);
  return async () => {
    const text = await askTls(options, SIBLING_BOUNDS);
    if (text.length > SIBLING_VALUES_MAX && valuesIn(text) > SIBLING_VALUES_MAX)
      throw new Error(`its answer has more than ${SIBLING_VALUES_MAX} values`);
    const cut = text.indexOf('\n');
    return { status: text.slice(0, cut), events: text.slice(cut + 1) };
  };
}

/** At most how many values, names of fields among them, JSON text makes. */
function valuesIn(json: string): number {
  let count = 1;
  let isText = false;
  for (let i = 0; i < json.length; i++) {
    const char = json.charCodeAt(i);
    if (isText && char === BACKSLASH) i++;
    else if (char === QUOTE) isText = !isText;
    else if (!isText && BEFORE_VALUES.includes(char)) count++;
  }
  return count;
}

export class AskedNode {
  readonly #label: string;
  readonly #ask: Ask;
  #answer: Answer | undefined;
  #before: Answer | undefined;
  #events: readonly NodeEvent[] | undefined;
  #silence: string | undefined;
  #asking: Promise<void> | undefined;

  /** @param label unique among the nodes */
  constructor(label: string, ask: Ask) {
    this.#label = label;
    this.#ask = ask;
  }

  get seen(): NodeSeen {
    return {
      label: this.#label,
      answer: this.#answer,
      before: this.#before,
      events: this.#events,
      silence: this.#silence,
    };
  }

  /** Resolves when it has answered, or does not; never rejects. A question that is open is not asked twice. */
  ask(): Promise<void> {
    this.#asking ??= this.#askOnce().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #askOnce(): Promise<void> {
    try {
      const { status, events } = await this.#ask();
      const answer = { at: Date.now(), status: asStatus(JSON.parse(status)) };
      this.#events = asEvents(JSON.parse(events));
      this.#before = this.#answer;
      this.#answer = answer;
      this.#silence = undefined;
    } catch (error) {
      this.#silence = reasonWithPlace(error);
    }
  }
}
