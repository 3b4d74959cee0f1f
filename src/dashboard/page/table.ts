/**
 * A table that changes in place: a page of rows, sorted and filtered, whose cells are written only where they differ. With thousands of rows
 * only those of the page are in the document.
 */
import { make, setData, setHidden, setText } from './dom.js';
import { whole } from './text.js';

export interface Cell {
  readonly text: string;
  /** How good that is; shown by sign and colour. */
  readonly state?: 'good' | 'warn' | 'bad' | undefined;
}

export interface Column<R> {
  readonly title: string;
  readonly cell: (row: R) => string | Cell;
  /** For the order; a column without one cannot be sorted by. */
  readonly order?: (row: R) => number | string;
  readonly isNumber?: boolean;
  /** A name, a time or an address: in one line, where there is room. */
  readonly isWhole?: boolean;
  /** Left out on a narrow screen. */
  readonly isWide?: boolean;
  /** Draws into a canvas instead of writing text; its class in page.css says how large that is. */
  readonly draw?: (row: R, canvas: HTMLCanvasElement) => void;
  readonly drawn?: 'spark' | 'swatch';
}

/** A longer one is broken, so that the columns behind it stay in sight. */
const WHOLE_CHARS_MAX = 32;

export interface TableOptions<R> {
  /** For screen readers. */
  readonly caption: string;
  /** The first one names the row. */
  readonly columns: readonly Column<R>[];
  /** Shown instead of a table without rows. */
  readonly empty: string;
  readonly rowsMax: number;
  /** What a row is found by; without it there is no filter. */
  readonly searched?: (row: R) => string;
}

export class Table<R> {
  readonly element: HTMLElement;
  readonly #options: TableOptions<R>;
  readonly #body = make('tbody');
  readonly #scroll: HTMLElement;
  readonly #empty: HTMLElement;
  readonly #pager: HTMLElement;
  readonly #position = make('span', { role: 'status' });
  readonly #back = make('button', { class: 'plain', type: 'button' }, 'previous');
  readonly #next = make('button', { class: 'plain', type: 'button' }, 'next');
  readonly #heads: HTMLElement[];
  #rows: readonly R[] = [];
  #page = 0;
  #filter = '';
  #sort: { column: number; isDescending: boolean } | undefined;

  constructor(options: TableOptions<R>) {
    this.#options = options;
    this.#heads = options.columns.map((column, index) => this.#head(column, index));
    const table = make('table', { 'aria-label': options.caption });
    table.append(make('thead', {}, make('tr', {}, ...this.#heads)), this.#body);
    this.#scroll = make('div', { class: 'scroll' }, table);
    this.#empty = make('p', { class: 'empty' }, options.empty);
    this.#pager = make('div', { class: 'controls', hidden: '' }, this.#back, this.#position, this.#next);
    this.#back.addEventListener('click', () => this.#turn(-1));
    this.#next.addEventListener('click', () => this.#turn(1));
    this.element = make('div', {}, ...this.#filterField(), this.#scroll, this.#empty, this.#pager);
  }

  /** @param rows in the order in which they are shown while no column is sorted by */
  show(rows: readonly R[]): void {
    this.#rows = rows;
    this.#render();
  }

  #render(): void {
    const { rowsMax, searched, columns } = this.#options;
    const found =
      this.#filter === ''
        ? this.#rows
        : this.#rows.filter((row) => searched!(row).toLowerCase().includes(this.#filter));
    const pages = Math.max(1, Math.ceil(found.length / rowsMax));
    this.#page = Math.min(this.#page, pages - 1);
    const first = this.#page * rowsMax;
    const shown = this.#sorted(found).slice(first, first + rowsMax);
    while (this.#body.rows.length > shown.length) this.#body.deleteRow(-1);
    while (this.#body.rows.length < shown.length) this.#body.append(this.#emptyRow());
    for (const [index, row] of shown.entries())
      for (const [number, column] of columns.entries())
        fill(this.#body.rows[index].cells[number], column, row);
    setHidden(this.#scroll, shown.length === 0);
    setHidden(this.#empty, shown.length > 0);
    setHidden(this.#pager, found.length <= rowsMax);
    setText(
      this.#position,
      `${whole(first + 1)} to ${whole(first + shown.length)} of ${whole(found.length)}`,
    );
    this.#back.disabled = this.#page === 0;
    this.#next.disabled = this.#page === pages - 1;
  }

  #sorted(rows: readonly R[]): readonly R[] {
    if (this.#sort === undefined) return rows;
    const { column, isDescending } = this.#sort;
    const order = this.#options.columns[column].order!;
    const sign = isDescending ? -1 : 1;
    return rows.toSorted((one, other) => {
      const a = order(one);
      const b = order(other);
      return a < b ? -sign : a > b ? sign : 0;
    });
  }

  #emptyRow(): HTMLTableRowElement {
    const cells = this.#options.columns.map((column, index) => {
      const cell = make(index === 0 ? 'th' : 'td', { class: classOf(column) });
      if (index === 0) cell.setAttribute('scope', 'row');
      if (column.draw) cell.append(make('canvas', { class: column.drawn ?? 'spark', 'aria-hidden': 'true' }));
      return cell;
    });
    return make('tr', {}, ...cells);
  }

  #head(column: Column<R>, index: number): HTMLElement {
    const head = make('th', { scope: 'col', class: classOf(column) });
    if (column.order === undefined) head.append(column.title);
    else {
      const button = make('button', { type: 'button' }, column.title);
      button.addEventListener('click', () => this.#sortBy(index));
      head.append(button);
    }
    return head;
  }

  /** Numbers the most first; again turns the order round, and a third time takes it away. */
  #sortBy(column: number): void {
    const isDescending = this.#options.columns[column].isNumber === true;
    const { column: now, isDescending: was } = this.#sort ?? {};
    if (now !== column) this.#sort = { column, isDescending };
    else this.#sort = was === isDescending ? { column, isDescending: !isDescending } : undefined;
    for (const [index, head] of this.#heads.entries()) {
      if (index === this.#sort?.column)
        head.setAttribute('aria-sort', this.#sort.isDescending ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    }
    this.#render();
  }

  #filterField(): HTMLElement[] {
    if (this.#options.searched === undefined) return [];
    const input = make('input', { type: 'search' });
    input.addEventListener('input', () => {
      this.#filter = input.value.toLowerCase();
      this.#page = 0;
      this.#render();
    });
    return [make('div', { class: 'controls' }, make('label', {}, 'Find ', input))];
  }

  #turn(pages: number): void {
    this.#page += pages;
    this.#render();
  }
}

function classOf<R>({ isNumber, isWhole, isWide }: Column<R>): string {
  return [isNumber && 'number', isWhole && 'whole', isWide && 'wide'].filter(Boolean).join(' ');
}

function fill<R>(cell: HTMLTableCellElement, { cell: content, draw, isWhole }: Column<R>, row: R): void {
  if (draw) {
    draw(row, cell.firstElementChild as HTMLCanvasElement);
    return;
  }
  const value = content(row);
  const { text, state }: Cell = typeof value === 'string' ? { text: value } : value;
  setText(cell, text);
  setData(cell, 'state', state);
  if (isWhole) setData(cell, 'long', text.length > WHOLE_CHARS_MAX ? '' : undefined);
}
