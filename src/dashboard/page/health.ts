/** The top of the page: which node this is, one sentence on how it is, and how old what is shown is. */
import type { BackendCard, NodeCard, PeerCard, PoolCard, ServiceCard, VerdictCard } from '../wire.js';
import { byId, setData, setHidden, setText } from './dom.js';
import { drawLine, POINTS_MAX, Series } from './plot.js';
import { type Store, touches } from './store.js';
import { amount, clock, lasting, short } from './text.js';

/** From here on what is shown counts as stale. */
const STALE_MS = 3_000;

export interface Judgement {
  readonly state: 'good' | 'warn' | 'bad';
  readonly text: string;
}

/** How this node and its fleet are, in a sentence, the worst first. */
export function judge(store: Store): Judgement {
  const node = store.get<NodeCard>('node');
  if (node === undefined) return { state: 'warn', text: 'The node has not answered yet.' };
  const backends = store.all<BackendCard>('backend/');
  const down = backends.filter(([, { health }]) => health !== 'up');
  const peers = store.all<PeerCard>('peer/');
  const silent = peers.filter(([, { silent }]) => silent !== undefined).map(([name]) => name);
  const differing = peers.filter(([, { differs }]) => differs.length > 0).map(([name]) => name);
  const unready = store.all<ServiceCard>('service/').filter(([, { ready }]) => !ready);
  const needs = store.all<PoolCard>('pool/').filter(([, { mode }]) => mode !== 'normal');
  const bad = [
    node.ready ? '' : `${node.node} is not ready: ${node.reasons.join('; ') || 'a service is not ready'}`,
    node.imageFailed === undefined ? '' : `an older image is in force: ${node.imageFailed}`,
    unready.length === 0 ? '' : `${amount(unready.length, 'service')} not ready: ${some(unready)}`,
    down.length === 0 ? '' : `${amount(down.length, 'backend')} of ${backends.length} down: ${some(down)}`,
    silent.length === 0 ? '' : `${amount(silent.length, 'node')} of the fleet silent: ${silent.join(', ')}`,
  ].filter((text) => text !== '');
  const warn = [
    needs.length === 0
      ? ''
      : `owners were found in need (${needs.map(([name, { mode }]) => `${name}: ${mode}`).join(', ')})`,
    node.config.refused === undefined ? '' : 'the config file was refused at the last reload',
    differing.length === 0 ? '' : `other tables than here on ${differing.join(', ')}`,
  ].filter((text) => text !== '');
  const draining = backends.filter(([, { state }]) => state === 'draining').length;
  const found = [...bad, ...warn, ...(draining === 0 ? [] : [`${amount(draining, 'backend')} draining`])];
  if (bad.length > 0) return { state: 'bad', text: sentence(found) };
  if (warn.length > 0) return { state: 'warn', text: sentence(found) };
  return { state: 'good', text: sentence([`all ${backends.length} backends up`, ...found]) };
}

export class Health {
  readonly #series = { pps: new Series(), bps: new Series(), dps: new Series() };
  /** When the last update came, and how old it was then; by the clock of the page. */
  #heard:
    | { readonly atMs: number; readonly ageMs: number | null; readonly silent: string | undefined }
    | undefined;
  #lostAtMs: number | undefined;

  update(store: Store, changed: ReadonlySet<string>): void {
    const node = store.get<NodeCard>('node');
    if (node !== undefined && changed.has('node')) {
      setText(byId('node'), node.node);
      const { engine, interface: name, version, generation } = node;
      setText(byId('facts'), `engine ${engine} on ${name}, version ${version}, generation ${generation}`);
      document.title = `${node.node} - anyhop`;
    }
    if (!touches(changed, 'node', 'peer/', 'service/', 'pool/', 'backend/')) return;
    const { state, text } = judge(store);
    setText(byId('sentence'), text);
    setData(byId('sentence'), 'state', state);
  }

  /** Once for each update. */
  plot(store: Store, isFresh: boolean): void {
    const rates = store.get<number[]>('rates/services') ?? [];
    const verdicts = store.get<VerdictCard[]>('verdicts') ?? [];
    const sum = (offset: number): number =>
      rates.reduce((total, value, index) => (index % 2 === offset ? total + value : total), 0);
    const drops = verdicts.reduce(
      (total, { action, packetsPerSecond }) => (action === 'drop' ? total + packetsPerSecond : total),
      0,
    );
    const style = getComputedStyle(document.documentElement);
    const show = (id: 'pps' | 'bps' | 'dps', value: number, text: string, colour: string): void => {
      const series = this.#series[id];
      series.add(isFresh ? value : Number.NaN);
      setText(byId(id), text);
      drawLine(byId(`${id}-plot`), series, POINTS_MAX, style.getPropertyValue(colour));
    };
    show('pps', sum(0), short(sum(0), 'packets/s'), '--plot');
    show('bps', sum(1) * 8, short(sum(1) * 8, 'bit/s'), '--plot');
    show('dps', drops, short(drops, 'packets/s'), '--bad');
  }

  heard(ageMs: number | null, silent: string | undefined): void {
    this.#heard = { atMs: performance.now(), ageMs, silent };
    this.#lostAtMs = undefined;
    this.tick();
  }

  /** The stream has ended; the browser tries again. */
  lost(): void {
    this.#lostAtMs ??= performance.now();
    this.tick();
  }

  /** Says how old what is shown is. */
  tick(): void {
    const { atMs, ageMs, silent } = this.#heard ?? {};
    const isKnown = atMs !== undefined && ageMs !== undefined && ageMs !== null;
    const age = isKnown ? ageMs + performance.now() - atMs : undefined;
    const isStale =
      this.#lostAtMs !== undefined || silent !== undefined || (age ?? Number.POSITIVE_INFINITY) > STALE_MS;
    setText(
      byId('age'),
      age === undefined ? 'no data yet' : age < 2_000 ? 'live' : `data of ${lasting(age)} ago`,
    );
    if (this.#heard === undefined && this.#lostAtMs === undefined) return;
    setHidden(byId('stale'), !isStale);
    setData(document.documentElement, 'stale', isStale ? '' : undefined);
    if (!isStale) return;
    const why =
      silent ?? (this.#lostAtMs === undefined ? 'the node is slow' : 'no connection to the dashboard');
    const what = age === undefined ? '' : ` What you see is of ${clock(Date.now() - age)}.`;
    setText(byId('stale'), `Stale: ${why}.${what}`);
  }
}

function some(named: readonly (readonly [name: string, unknown])[], max = 3): string {
  const names = named.slice(0, max).map(([name]) => name);
  return named.length > max ? `${names.join(', ')} and ${named.length - max} more` : names.join(', ');
}

/** Parts as one sentence. */
function sentence(parts: readonly string[]): string {
  const text = parts.join('; ');
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
