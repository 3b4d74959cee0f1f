/** Lines over time on a canvas: what was told each second while the page was open. */

/** Five minutes. */
export const POINTS_MAX = 300;

/** The last values, one a second; NaN where none was told. */
export class Series {
  readonly values: number[] = [];

  add(value: number): void {
    this.values.push(value);
    if (this.values.length > POINTS_MAX) this.values.shift();
  }
}

/** Pixels of a plot as CSS counts them. Asking the document for them while it is being written costs a layout, so that nobody does. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** @param colour of CSS */
export function drawLine(
  canvas: HTMLCanvasElement,
  { values }: Series,
  points: number,
  size: Size,
  colour: string,
): void {
  const width = Math.round(size.width * devicePixelRatio);
  const height = Math.round(size.height * devicePixelRatio);
  if (width === 0) return;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext('2d');
  if (context === null) return;
  context.clearRect(0, 0, width, height);
  const shown = values.slice(-points);
  const most = Math.max(1, ...shown.filter(Number.isFinite));
  const x = (index: number): number => width - ((shown.length - 1 - index) / (points - 1)) * width;
  const y = (value: number): number => height - 2 - (value / most) * (height - 4);
  context.strokeStyle = colour;
  context.lineWidth = 1.5 * devicePixelRatio;
  context.beginPath();
  let isPen = false;
  for (const [index, value] of shown.entries()) {
    if (!Number.isFinite(value)) isPen = false;
    else if (isPen) context.lineTo(x(index), y(value));
    else {
      context.moveTo(x(index), y(value));
      isPen = true;
    }
  }
  context.stroke();
}

/** Colours of the style sheet, read again when the scheme changes. */
export class Colours {
  readonly #read = new Map<string, string>();

  constructor() {
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#read.clear());
  }

  /** @param name `--plot` */
  get(name: string): string {
    let colour = this.#read.get(name);
    if (colour === undefined) {
      colour = getComputedStyle(document.documentElement).getPropertyValue(name);
      this.#read.set(name, colour);
    }
    return colour;
  }
}

/** The size of each canvas, as the browser tells it when it changes. */
export class Sizes {
  readonly #sizes = new Map<Element, Size>();
  readonly #observer = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) this.#sizes.set(target, contentRect);
  });

  of(canvas: HTMLCanvasElement): Size {
    if (!this.#sizes.has(canvas)) {
      this.#sizes.set(canvas, { width: 0, height: 0 });
      this.#observer.observe(canvas);
    }
    return this.#sizes.get(canvas)!;
  }
}

/** A minute of each row of a table, drawn small. */
export class Histories {
  /** As `.spark` in page.css. */
  static readonly #SIZE = { width: 120, height: 22 } as const;
  static readonly #POINTS = 60;
  readonly #colours = new Colours();
  readonly #series = new Map<string, Series>();

  /** One more value of each; of those that are not among them, nothing is kept. */
  add(values: ReadonlyMap<string, number>): void {
    for (const name of this.#series.keys()) if (!values.has(name)) this.#series.delete(name);
    for (const [name, value] of values) {
      const series = this.#series.get(name) ?? new Series();
      series.add(value);
      this.#series.set(name, series);
    }
  }

  draw(name: string, canvas: HTMLCanvasElement, colour = '--plot'): void {
    const series = this.#series.get(name);
    if (series !== undefined)
      drawLine(canvas, series, Histories.#POINTS, Histories.#SIZE, this.#colours.get(colour));
  }
}
