/**
 * The slot map: who owns each slot of a pool, and what a change of one backend would move. Tables are asked for when the section comes into
 * sight, and again when the digest of the pool says that they changed.
 */
import { percent } from '../../core/figures.js';
import type { HereCard, MovesReport, PoolCard, SlotsReport } from '../wire.js';
import { byId, make, setText } from './dom.js';
import type { Panel } from './panels.js';
import { colourOf, countOwners, decodeOwners, NONE, pixelsOf, rowLength } from './slot-picture.js';
import type { Store } from './store.js';
import { Table } from './table.js';
import { counted, whole } from './text.js';

interface Shown {
  readonly report: SlotsReport;
  readonly owners: Uint16Array;
  readonly alternates: Uint16Array;
}

interface OwnerRow {
  readonly backend: number;
  readonly name: string;
  readonly slots: number;
  readonly share: number;
}

/** After tables could not be had. */
const AGAIN_MS = 10_000;
const ARROWS: Readonly<Record<string, (width: number) => number>> = {
  ArrowLeft: () => -1,
  ArrowRight: () => 1,
  ArrowUp: (width) => -width,
  ArrowDown: (width) => width,
};

export class SlotMap implements Panel {
  readonly #pool = byId<HTMLSelectElement>('slot-pool');
  readonly #backend = byId<HTMLSelectElement>('slot-backend');
  readonly #number = byId<HTMLInputElement>('slot-number');
  readonly #wantsMoves = byId<HTMLInputElement>('slot-moves');
  readonly #canvas = byId<HTMLCanvasElement>('slot-canvas');
  readonly #dark = matchMedia('(prefers-color-scheme: dark)');
  readonly #owners = new Table<OwnerRow>({
    caption: 'Owners of slots',
    empty: 'Nobody owns a slot.',
    rowsMax: 10,
    columns: [
      { title: 'Backend', cell: ({ name }) => name, isWhole: true },
      {
        title: 'Colour',
        cell: () => '',
        draw: ({ backend }, canvas) => fill(canvas, colourOf(backend, this.#dark.matches)),
        drawn: 'swatch',
      },
      { title: 'Slots', cell: ({ slots }) => whole(slots), isNumber: true },
      { title: 'Share', cell: ({ share }) => percent(share), isNumber: true },
    ],
  });
  #store: Store | undefined;
  #shown: Shown | undefined;
  #moves: MovesReport | undefined;
  #isInSight = false;
  #isAsking = false;
  /** The digest of tables that could not be had just now. */
  #failed: string | undefined;

  constructor() {
    byId('slot-owners').append(this.#owners.element);
    this.#pool.addEventListener('change', () => this.#ask());
    this.#backend.addEventListener('change', () => void this.#choose());
    this.#wantsMoves.addEventListener('change', () => void this.#choose());
    this.#number.addEventListener('input', () => this.#tell(Number(this.#number.value)));
    this.#canvas.addEventListener('pointermove', (event) => this.#point(event));
    this.#canvas.addEventListener('keydown', (event) => this.#step(event));
    this.#dark.addEventListener('change', () => this.#draw());
    new IntersectionObserver((entries) => {
      this.#isInSight = entries.some(({ isIntersecting }) => isIntersecting);
      this.#ask();
    }).observe(byId('slots'));
  }

  update(store: Store, changed: ReadonlySet<string>): void {
    this.#store = store;
    if (changed.has('here')) fillSelect(this.#pool, store.get<HereCard>('here')?.pools ?? []);
    if (changed.has('here') || changed.has(`pool/${this.#pool.value}`)) this.#ask();
  }

  /** For the tables of the pool that is chosen, when they are in sight and not known. */
  #ask(): void {
    const pool = this.#pool.value;
    const digest = this.#store?.get<PoolCard>(`pool/${pool}`)?.ownersDigest;
    if (!this.#isInSight || this.#isAsking || digest === undefined || digest === this.#failed) return;
    if (this.#shown?.report.pool === pool && this.#shown.report.digest === digest) return;
    this.#isAsking = true;
    void this.#read(pool, digest).finally(() => {
      this.#isAsking = false;
      if (this.#pool.value !== pool) this.#ask();
    });
  }

  async #read(pool: string, digest: string): Promise<void> {
    try {
      const report = (await getJson(`/api/slots?pool=${encodeURIComponent(pool)}`)) as SlotsReport;
      const { owners, alternates, backends } = report;
      this.#shown = { report, owners: decodeOwners(owners), alternates: decodeOwners(alternates) };
      this.#failed = undefined;
      fillSelect(this.#backend, [...new Set(backends)], 'all');
      this.#number.max = `${report.slots - 1}`;
      await this.#choose();
    } catch (error) {
      this.#failed = digest;
      setTimeout(() => {
        this.#failed = undefined;
        this.#ask();
      }, AGAIN_MS);
      setText(byId('slot-summary'), `The tables cannot be shown: ${(error as Error).message}`);
    }
  }

  /** Another backend, or the question what its change would move. */
  async #choose(): Promise<void> {
    const shown = this.#shown;
    if (shown === undefined) return;
    const backend = this.#backend.value;
    this.#moves = undefined;
    if (this.#wantsMoves.checked && backend !== '') {
      const query = new URLSearchParams({ pool: shown.report.pool, backend });
      const isStill = (): boolean =>
        shown === this.#shown && backend === this.#backend.value && this.#wantsMoves.checked;
      try {
        const moves = (await getJson(`/api/moves?${query}`)) as MovesReport;
        if (!isStill()) return;
        this.#moves = moves;
      } catch (error) {
        if (!isStill()) return;
        setText(byId('slot-summary'), `What would move cannot be told: ${(error as Error).message}`);
        return;
      }
    }
    this.#draw();
    this.#summarise();
    this.#tell(Number(this.#number.value));
  }

  #draw(): void {
    if (this.#shown === undefined) return;
    const { owners, report } = this.#shown;
    const index = report.backends.indexOf(this.#backend.value);
    const after = this.#moves === undefined ? undefined : decodeOwners(this.#moves.owners);
    const pixels = pixelsOf(owners, { isDark: this.#dark.matches }, index < 0 ? undefined : index, after);
    const width = rowLength(owners.length);
    this.#canvas.width = width;
    this.#canvas.height = pixels.length / 4 / width;
    this.#canvas.getContext('2d')?.putImageData(new ImageData(pixels, width), 0, 0);
  }

  #summarise(): void {
    if (this.#shown === undefined) return;
    const { owners, report } = this.#shown;
    const moves = this.#moves;
    const rows: OwnerRow[] =
      moves === undefined
        ? countOwners(owners).map(({ backend, slots }) => row(report, backend, slots, report.slots))
        : moves.to.map(({ backend, slots }) =>
            row(report, report.backends.indexOf(backend), slots, moves.moved),
          );
    this.#owners.show(rows);
    const all = `${whole(report.slots)} slots of ${report.pool}`;
    setText(
      byId('slot-summary'),
      moves === undefined
        ? `${all}, ${counted(rows.length, 'owner')}.${this.#wantsMoves.checked ? ' Choose a backend to see what its change would move.' : ''}`
        : `If ${moves.backend} ${moves.change === 'drain' ? 'drained' : 'drained no more'}, ${whole(moves.moved)} of ${all} would move (${percent(moves.moved / moves.slots)}), to ${counted(rows.length, 'backend')}: ${whose(moves)}.`,
    );
    this.#canvas.setAttribute('aria-label', byId('slot-summary').textContent ?? '');
  }

  #point({ offsetX, offsetY }: PointerEvent): void {
    const { width, height, clientWidth, clientHeight } = this.#canvas;
    const column = Math.floor((offsetX / clientWidth) * width);
    const line = Math.floor((offsetY / clientHeight) * height);
    this.#tell(line * width + column);
  }

  #step(event: KeyboardEvent): void {
    const step = ARROWS[event.key];
    if (step === undefined || this.#shown === undefined) return;
    event.preventDefault();
    const slot = Number(this.#number.value) + step(this.#canvas.width);
    this.#tell(Math.max(0, Math.min(slot, this.#shown.report.slots - 1)));
  }

  /** Who owns a slot, and who may hold its older connections. */
  #tell(slot: number): void {
    if (this.#shown === undefined) return;
    const { owners, alternates, report } = this.#shown;
    if (!(slot >= 0 && slot < owners.length)) return;
    if (this.#number.value !== `${slot}`) this.#number.value = `${slot}`;
    const others = [alternates[slot], alternates[owners.length + slot]].filter((one) => one !== NONE);
    const names = others.map((one) => nameOf(report, one));
    const next = this.#moves && decodeSlot(this.#moves.owners, slot);
    const moved =
      next === undefined || next === owners[slot] ? '' : `; it would go to ${nameOf(report, next)}`;
    setText(
      byId('slot-readout'),
      `Slot ${slot}: owner ${nameOf(report, owners[slot])}, alternates ${names.join(' and ') || 'none'}${moved}.`,
    );
  }
}

function whose({ change, ofOthers }: MovesReport): string {
  if (ofOthers > 0)
    return `${whole(ofOthers)} of them are slots of others, since the mode of the pool would change`;
  return change === 'drain' ? 'its own, and no others' : 'those that it would get back';
}

function row(report: SlotsReport, backend: number, slots: number, of: number): OwnerRow {
  return { backend, name: nameOf(report, backend), slots, share: of === 0 ? 0 : slots / of };
}

function fill(canvas: HTMLCanvasElement, [red, green, blue]: readonly number[]): void {
  const context = canvas.getContext('2d');
  if (context === null) return;
  context.fillStyle = `rgb(${red} ${green} ${blue})`;
  context.fillRect(0, 0, canvas.width, canvas.height);
}

function nameOf({ backends }: SlotsReport, index: number): string {
  return backends[index] ?? 'none';
}

/** One entry of a table, without decoding all of it. Three bytes are four characters. */
function decodeSlot(base64: string, slot: number): number {
  const first = Math.floor((2 * slot) / 3);
  const bytes = atob(base64.slice(4 * first, 4 * (first + 2)));
  const at = 2 * slot - 3 * first;
  return bytes.charCodeAt(at) | (bytes.charCodeAt(at + 1) << 8);
}

/** Keeps what was chosen, if it is still there. */
function fillSelect(select: HTMLSelectElement, names: readonly string[], all?: string): void {
  const chosen = select.value;
  const options = names.map((name) => make('option', { value: name }, name));
  select.replaceChildren(...(all === undefined ? [] : [make('option', { value: '' }, all)]), ...options);
  if (names.includes(chosen)) select.value = chosen;
}

/** @throws Error with what the dashboard says */
async function getJson(path: string): Promise<unknown> {
  const response = await fetch(path);
  const json = (await response.json()) as { readonly error?: { readonly message: string } };
  if (!response.ok) throw new Error(json.error?.message ?? `status ${response.status}`);
  return json;
}
