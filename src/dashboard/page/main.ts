/**
 * The page: a stream of updates into a store, and panels that show what changed. While the page is hidden it listens to nothing, so that a
 * forgotten tab costs the node nothing.
 */
import type { Update } from '../wire.js';
import { Health } from './health.js';
import { events, fleet, type Panel, verdicts } from './panels.js';
import { SlotMap } from './slot-map.js';
import { Store } from './store.js';
import { Backends, Services } from './traffic-panels.js';

const TICK_MS = 500;
/** A stream that tells nothing for so long, and has not ended, goes over a connection that is dead: it tells something every second. */
const DEAD_MS = 20_000;
/** After the dashboard refused a stream. */
const AGAIN_MS = 2_000;
const store = new Store();
const health = new Health();
const shown: readonly Panel[] = [
  new Backends(),
  new Services(),
  fleet(),
  verdicts(),
  events(),
  new SlotMap(),
];
let stream: EventSource | undefined;
/** When the stream was opened, or told something last. */
let toldMs = 0;

/** Its marks are what `make bench-dashboard` reads. */
function update(told: Update): void {
  performance.clearMarks('anyhop update begins');
  performance.clearMeasures();
  performance.mark('anyhop update begins');
  const changed = store.apply(told);
  health.heard(told.ageMs, told.silent);
  health.update(store, changed);
  for (const panel of shown) panel.update(store, changed);
  health.plot(store, told.silent === undefined);
  performance.measure('anyhop update', 'anyhop update begins');
  if (told.ageMs !== null && performance.getEntriesByName('anyhop shown').length === 0)
    requestAnimationFrame(() => performance.mark('anyhop shown'));
}

function listen(): void {
  if (document.visibilityState === 'hidden') {
    stream?.close();
    stream = undefined;
    return;
  }
  if (stream !== undefined) return;
  stream = new EventSource('/api/stream');
  toldMs = performance.now();
  stream.onmessage = ({ data }) => {
    toldMs = performance.now();
    update(JSON.parse(data) as Update);
  };
  stream.onerror = () => {
    health.lost();
    // The browser gives up when the answer is an error, such as 429; it comes again by itself when the connection ends.
    if (stream?.readyState !== EventSource.CLOSED) return;
    stream = undefined;
    setTimeout(listen, AGAIN_MS);
  };
}

function tick(): void {
  health.tick();
  if (stream === undefined || performance.now() - toldMs < DEAD_MS) return;
  stream.close();
  stream = undefined;
  health.lost();
  listen();
}

document.addEventListener('visibilitychange', listen);
setInterval(tick, TICK_MS);
listen();
