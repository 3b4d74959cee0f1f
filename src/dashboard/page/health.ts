/** The top of the page: which node this is, one sentence on how its fleet is, what is wrong, and how old what is shown is. */
import { lasting, short } from '../../core/figures.js';
import type { HereCard, NodeCard, SummaryCard, TroubleCard } from '../wire.js';
import { byId, make, setData, setHidden, setText } from './dom.js';
import { Colours, drawLine, POINTS_MAX, Series, Sizes } from './plot.js';
import type { Store } from './store.js';
import { clock, counted, whole } from './text.js';

/** From here on what is shown counts as stale. */
const STALE_MS = 3_000;
/** Below, its age is the time between two updates. */
const LIVE_MS = 2_000;
const STATES = { ok: 'good', note: 'good', warn: 'warn', bad: 'bad' } as const;

/**
 * How the fleet is, in a sentence. It counts and tells no ages, since a screen reader says it again whenever it changes.
 */
export function headline({ level, nodes, services, backends }: SummaryCard): string {
  const silent = nodes.total - nodes.answering;
  const notReady = nodes.answering - nodes.ready;
  const found = [
    silent === 0 ? '' : `${counted(silent, 'node')} of ${nodes.total} silent`,
    notReady === 0 ? '' : `${counted(notReady, 'node')} not ready`,
    services.ready === services.total
      ? ''
      : `${counted(services.total - services.ready, 'service')} not ready`,
    backends.down === 0 ? '' : `${counted(backends.down, 'backend')} of ${backends.total} down`,
    backends.draining === 0 ? '' : `${counted(backends.draining, 'backend')} draining`,
  ].filter((text) => text !== '');
  const on = nodes.total > 1 && silent === 0 ? ` on ${nodes.total} nodes` : '';
  if (backends.down === 0) found.unshift(`all ${counted(backends.total, 'backend')} up${on}`);
  const text = found.join('; ');
  const also = level === 'ok' || found.length > 1 || backends.down > 0 ? '' : ', but see below';
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${also}.`;
}

export class Health {
  readonly #series = { pps: new Series(), bps: new Series(), dps: new Series() };
  readonly #troubles = byId('troubles');
  readonly #colours = new Colours();
  readonly #sizes = new Sizes();
  /** When the last update came, and how old it was then; by the clock of the page. */
  #heard:
    | { readonly atMs: number; readonly ageMs: number | null; readonly silent: string | undefined }
    | undefined;
  #lostAtMs: number | undefined;

  update(store: Store, changed: ReadonlySet<string>): void {
    const here = store.get<HereCard>('here');
    const summary = store.get<SummaryCard>('summary');
    if (here === undefined || summary === undefined) return;
    setData(document.documentElement, 'waiting', undefined);
    this.#name(here.node, store.get<NodeCard>(`node/${here.nodes[0]}`));
    setText(byId('sentence'), headline(summary));
    setData(byId('sentence'), 'state', STATES[summary.level]);
    if (changed.has('troubles') || changed.has('summary'))
      this.#list(store.get<TroubleCard[]>('troubles') ?? [], summary.more);
  }

  /** Once for each update. */
  plot(store: Store, isFresh: boolean): void {
    const summary = store.get<SummaryCard>('summary');
    if (summary === undefined) return;
    const { forward, answer, drop } = summary.packetsPerSecond;
    const show = (id: 'pps' | 'bps' | 'dps', value: number, unit: string, colour: string): void => {
      this.#series[id].add(isFresh ? value : Number.NaN);
      setText(byId(id), `${short(value)} ${unit}`);
      const canvas = byId<HTMLCanvasElement>(`${id}-plot`);
      drawLine(canvas, this.#series[id], POINTS_MAX, this.#sizes.of(canvas), this.#colours.get(colour));
    };
    show('pps', forward + answer, 'packets/s', '--plot');
    show('bps', summary.bytesPerSecond * 8, 'bit/s', '--plot');
    show('dps', drop, 'packets/s', '--bad');
  }

  heard(ageMs: number | null, silent: string | undefined): void {
    this.#heard = { atMs: performance.now(), ageMs, silent };
    this.#lostAtMs = undefined;
    this.tick();
  }

  /** The stream has ended, as it does when a reload gives the listener another certificate; the browser comes again. */
  lost(): void {
    this.#lostAtMs ??= performance.now();
    this.tick();
  }

  /** Says how old what is shown is. */
  tick(): void {
    const { atMs, ageMs, silent } = this.#heard ?? {};
    const isKnown = atMs !== undefined && ageMs !== undefined && ageMs !== null;
    const age = isKnown ? ageMs + performance.now() - atMs : undefined;
    const isLost = this.#lostAtMs !== undefined;
    const isStale = silent !== undefined || (age ?? Number.POSITIVE_INFINITY) > STALE_MS;
    setText(
      byId('age'),
      age === undefined ? 'no data yet' : age < LIVE_MS ? 'live' : `as it was ${lasting(age)} ago`,
    );
    if (this.#heard === undefined && !isLost) return;
    setHidden(byId('stale'), !isStale);
    setData(document.documentElement, 'stale', isStale ? '' : undefined);
    if (!isStale) return;
    const why = isLost
      ? 'no connection to the dashboard'
      : performance.now() - atMs! > STALE_MS
        ? 'nothing comes from the dashboard'
        : (silent ?? (age === undefined ? 'the node has not answered yet' : 'no node answers'));
    const what = age === undefined ? '' : ` What you see is of ${clock(Date.now() - age)}.`;
    setText(byId('stale'), `Stale: ${why}.${what}`);
  }

  #name(node: string, card: NodeCard | undefined): void {
    setText(byId('node'), node);
    const title = `${node} - anyhop`;
    if (document.title !== title) document.title = title;
    if (card?.detail === undefined) return;
    const { engine, mode, interface: name, version, generation } = card.detail;
    setText(
      byId('facts'),
      `engine ${engine} (${mode}) on ${name}, version ${version}, generation ${generation}`,
    );
  }

  #list(troubles: readonly TroubleCard[], more: number): void {
    const items = this.#troubles;
    while (items.children.length > troubles.length) items.lastElementChild?.remove();
    while (items.children.length < troubles.length) items.append(make('li'));
    for (const [index, { level, text }] of troubles.entries()) {
      const item = items.children[index] as HTMLElement;
      setText(item, text);
      setData(item, 'state', level === 'note' ? 'note' : STATES[level]);
    }
    setHidden(items, troubles.length === 0);
    setHidden(byId('more'), more === 0);
    setText(byId('more'), `and ${whole(more)} more`);
  }
}
