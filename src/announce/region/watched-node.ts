/**
 * What a DNS host knows of one node: asked twice a second, and at once when its connection ends or a question fails.
 *
 *   unknown --> heard        by the first good answer
 *   heard   --> lost         by REGION_SILENCE_MS without a good answer, whatever came instead: a restart is shorter
 *   unknown --> lost         by REGION_FIRST_MS without one
 *   lost    --> heard        by good answers for REGION_RISE_MS, so that nothing flaps
 */
import type { RegionNode, RegionTls } from '../../config/announce/types.js';
import { REGION_ASK_MS, REGION_FIRST_MS, REGION_RISE_MS, REGION_SILENCE_MS } from '../../core/limits.js';
import { reasonOf } from '../../core/reason.js';
import { formatDuration } from '../../core/time.js';
import type { RegionAnswer } from './answer.js';
import { Questioner } from './question.js';

/** After a failure, or the end of a connection. */
const AGAIN_MS = 100;

export type NodeView =
  | { readonly state: 'unknown' }
  /** `ready` of the answer says whether it announces anything. */
  | { readonly state: 'heard'; readonly answer: RegionAnswer }
  | {
      readonly state: 'lost';
      readonly why: string;
      /** As the node said last, or the config. */
      readonly weight: number;
    };

export class WatchedNode {
  readonly node: RegionNode;
  readonly #questioner: Questioner;
  readonly #changed: () => void;
  #view: NodeView = { state: 'unknown' };
  /** Of the last failure since the last good answer. */
  #why: string | undefined;
  #heardSince: number | undefined;
  #silence: NodeJS.Timeout | undefined;
  #next: NodeJS.Timeout | undefined;
  #isAsking = false;
  #isClosed = false;

  /** @param delayMs before the first question, so that not all are asked at once */
  constructor(node: RegionNode, region: string, tls: RegionTls, delayMs: number, changed: () => void) {
    this.node = node;
    this.#changed = changed;
    this.#questioner = new Questioner(node, region, tls, () => this.#askIn(AGAIN_MS));
    this.#listenFor(REGION_FIRST_MS);
    this.#askIn(delayMs);
  }

  get view(): NodeView {
    return this.#view;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#next);
    clearTimeout(this.#silence);
    this.#questioner.close();
  }

  #askIn(ms: number): void {
    if (this.#isClosed || this.#isAsking) return;
    clearTimeout(this.#next);
    this.#next = setTimeout(() => void this.#ask(), ms);
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    let waitMs = REGION_ASK_MS;
    try {
      const answer = await this.#questioner.ask();
      if (!this.#isClosed) this.#take(answer);
    } catch (error) {
      waitMs = AGAIN_MS;
      this.#why = reasonOf(error);
      this.#heardSince = undefined;
    }
    this.#isAsking = false;
    this.#askIn(waitMs);
  }

  #take(answer: RegionAnswer): void {
    this.#why = undefined;
    this.#listenFor(REGION_SILENCE_MS);
    const now = performance.now();
    this.#heardSince ??= now;
    if (this.#view.state === 'lost' && now - this.#heardSince < REGION_RISE_MS) return;
    this.#see({ state: 'heard', answer });
  }

  #listenFor(ms: number): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#heardSince = undefined;
      const why = this.#why === undefined ? '' : `: ${this.#why}`;
      const weight = this.#view.state === 'heard' ? this.#view.answer.weight : this.node.weight;
      this.#see({ state: 'lost', why: `no good answer for ${formatDuration(ms)}${why}`, weight });
    }, ms);
  }

  #see(view: NodeView): void {
    const before = JSON.stringify(this.#view);
    this.#view = view;
    if (JSON.stringify(view) !== before) this.#changed();
  }
}
