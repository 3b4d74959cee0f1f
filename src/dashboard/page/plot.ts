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

/** @param colour of CSS */
export function drawLine(
  canvas: HTMLCanvasElement,
  { values }: Series,
  points: number,
  colour: string,
): void {
  const width = canvas.clientWidth * devicePixelRatio;
  const height = canvas.clientHeight * devicePixelRatio;
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
  context.lineTo(width, height);
  context.lineTo(x(0), height);
  context.globalAlpha = 0.12;
  context.fillStyle = colour;
  context.fill();
  context.globalAlpha = 1;
}
