/**
 * How nodes of a fleet tell each other which backends they see down: each writes its own view when it changes, and follows the others'.
 *
 *   own view -------------> health/NAME, with a lease          health/ --read when it changes, and every 2 s--> the others' views
 *
 * A view is fresh while its node keeps its lease, and while this node reads the store. Without the store there is none, after some
 * seconds: then this node goes by its own (agreed.ts).
 */
import { gunzipSync, gzipSync } from 'node:zlib';
import * as z from 'zod';
import { NAME_PATTERN } from '../config/name-fields.js';
import { HEALTH_VIEW_BYTES_MAX, HEALTH_VIEW_DOWN_MAX } from '../core/limits.js';
import type { HealthView } from './agreed.js';
import { HEALTH } from './places.js';
import type { Snapshot, Store } from './store.js';

const LEASE_SECONDS = 5;
const READ_MS = 2_000;
/** One read may be lost, or be late by the time that an answer may take. */
const FRESH_MS = 6_000;
/** Between two writes: what changes meanwhile is told together. */
const TELL_MS = 30;
/** When to try again to write: at first, and after many failures. */
const [AGAIN_MS, AGAIN_MS_MAX] = [1_000, 60_000];

const name = z.string().regex(NAME_PATTERN);
const said = z.strictObject({
  revision: z.int().min(0),
  /** Names by pool. */
  down: z.record(name, z.array(name).max(HEALTH_VIEW_DOWN_MAX)),
});

/** What a test puts something of its own in the place of. */
export type ViewStore = Pick<Store, 'follow' | 'write' | 'lease'>;

export class HealthViews {
  readonly #store: ViewStore;
  readonly #node: string;
  readonly #lease: ReturnType<ViewStore['lease']>;
  /** Others' fresh views, by node, each with the version of its entry. */
  #views = new Map<string, { readonly version: string; readonly view: HealthView | undefined }>();
  #changed: () => void = () => undefined;
  #stale: NodeJS.Timeout | undefined;
  #own: ReadonlySet<string> | undefined;
  #told: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #againMs = AGAIN_MS;
  #isWriting = false;
  #isClosed = false;
  /** Of the config that this node goes by. */
  revision = 0;

  constructor(store: ViewStore, node: string) {
    this.#store = store;
    this.#node = node;
    this.#lease = store.lease(LEASE_SECONDS);
    this.#lease.lost = () => this.#tellAgain();
    store.follow(HEALTH, READ_MS, (snapshot) => this.#take(snapshot));
  }

  /** Of other nodes. */
  fresh(): HealthView[] {
    return [...this.#views.values()].flatMap(({ view }) => view ?? []);
  }

  /** Calls `listener` when `fresh` may say something else. */
  onChange(listener: () => void): void {
    this.#changed = listener;
  }

  /** @param down `pool/backend` of all that this node sees down */
  tell(down: ReadonlySet<string>): void {
    if (this.#isClosed) return;
    this.#own = down;
    if (this.#timer === undefined && !this.#isWriting) void this.#write();
  }

  /** What this node said goes away at once. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#stale);
    await this.#lease.revoke();
  }

  #take({ entries }: Snapshot): void {
    const before = this.#views;
    this.#views = new Map(
      [...entries].flatMap(([place, { value, version }]) => {
        const node = place.slice(HEALTH.length);
        if (node === this.#node || !NAME_PATTERN.test(node)) return [];
        const known = before.get(node);
        return [[node, known?.version === version ? known : { version, view: readHealthView(node, value) }]];
      }),
    );
    // Another snapshot of the store may have been restored, without what was said last.
    if (this.#told !== undefined && entries.get(HEALTH + this.#node)?.value !== this.#told) this.#tellAgain();
    clearTimeout(this.#stale);
    this.#stale = setTimeout(() => {
      this.#views = new Map();
      this.#changed();
    }, FRESH_MS).unref();
    const isSame =
      before.size === this.#views.size &&
      [...this.#views].every(([node, { version }]) => before.get(node)?.version === version);
    if (!isSame) this.#changed();
  }

  async #write(): Promise<void> {
    const own = this.#own!;
    const text = packedView(this.revision, own);
    let pauseMs = TELL_MS;
    this.#isWriting = true;
    try {
      if (text !== this.#told)
        await this.#store.write([], [{ place: HEALTH + this.#node, value: text, lease: this.#lease }]);
      this.#told = text;
      this.#againMs = AGAIN_MS;
    } catch {
      pauseMs = this.#againMs; // the store has logged it
      this.#againMs = Math.min(2 * this.#againMs, AGAIN_MS_MAX);
    }
    this.#isWriting = false;
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#own !== own || this.#told !== text) void this.#write();
    }, pauseMs).unref();
  }

  #tellAgain(): void {
    this.#told = undefined;
    if (this.#own !== undefined) this.tell(this.#own);
  }
}

/** Of all nodes, as they are in the store. */
export function healthViewsIn({ entries }: Snapshot): HealthView[] {
  return [...entries].flatMap(([place, { value }]) => {
    const node = place.slice(HEALTH.length);
    return (NAME_PATTERN.test(node) && readHealthView(node, value)) || [];
  });
}

/** Undefined for what is no view. */
export function readHealthView(node: string, value: string): HealthView | undefined {
  try {
    const text = gunzipSync(Buffer.from(value, 'base64'), { maxOutputLength: HEALTH_VIEW_BYTES_MAX });
    const { revision, down } = said.parse(JSON.parse(text.toString('utf8')));
    const names = Object.entries(down).flatMap(([pool, backends]) =>
      backends.map((backend) => `${pool}/${backend}`),
    );
    return { node, revision, down: new Set(names) };
  } catch {
    return undefined;
  }
}

function packedView(revision: number, down: ReadonlySet<string>): string {
  const byPool = new Map<string, string[]>();
  for (const each of [...down].sort().slice(0, HEALTH_VIEW_DOWN_MAX)) {
    const [pool, backend] = each.split('/') as [string, string];
    const known = byPool.get(pool);
    if (known === undefined) byPool.set(pool, [backend]);
    else known.push(backend);
  }
  return gzipSync(JSON.stringify({ revision, down: Object.fromEntries(byPool) })).toString('base64');
}
