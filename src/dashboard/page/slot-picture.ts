/**
 * The slot map as pixels: one slot a pixel, in rows, coloured by its owner. Neighbouring numbers get colours far apart (steps of the golden
 * angle); which backend a colour is, the reader learns by pointing, by the list, or by choosing a backend, which dims all others.
 */

/** Of a 16-bit index: none. */
export const NONE = 0xffff;
const GOLDEN_ANGLE = 137.508;

export interface Shades {
  readonly isDark: boolean;
}

/** Slots in a row, so that the picture is about twice as wide as high. */
export function rowLength(slots: number): number {
  return Math.ceil(Math.sqrt(slots * 2.4));
}

export function decodeOwners(base64: string): Uint16Array {
  const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Uint16Array.from({ length: bytes.length / 2 }, (_, index) => view.getUint16(index * 2, true));
}

/**
 * RGBA of each pixel.
 * @param chosen the backend that is not dimmed; undefined for all
 * @param after owners after a change; slots that it moves show their new owner, all others are dimmed
 */
export function pixelsOf(
  owners: Uint16Array,
  { isDark }: Shades,
  chosen: number | undefined,
  after: Uint16Array | undefined,
): Uint8ClampedArray<ArrayBuffer> {
  const width = rowLength(owners.length);
  const pixels = new Uint8ClampedArray(4 * width * Math.ceil(owners.length / width));
  const colours = new Map<number, readonly [number, number, number]>();
  for (let slot = 0; slot < owners.length; slot++) {
    const owner = after?.[slot] ?? owners[slot];
    const isLit = after === undefined ? chosen === undefined || owner === chosen : owner !== owners[slot];
    let colour = colours.get(owner);
    if (colour === undefined) {
      colour = colourOf(owner, isDark);
      colours.set(owner, colour);
    }
    const [red, green, blue] = colour;
    pixels[4 * slot] = red;
    pixels[4 * slot + 1] = green;
    pixels[4 * slot + 2] = blue;
    pixels[4 * slot + 3] = isLit ? 255 : 28;
  }
  return pixels;
}

/** Red, green and blue, 0 to 255. */
export function colourOf(owner: number, isDark: boolean): readonly [number, number, number] {
  if (owner === NONE) return isDark ? [0, 0, 0] : [255, 255, 255];
  const hue = (owner * GOLDEN_ANGLE) % 360;
  const lightness = (isDark ? 0.6 : 0.45) + ((owner % 3) - 1) * 0.08;
  const chroma = 0.65 * Math.min(lightness, 1 - lightness);
  const channel = (offset: number): number => {
    const k = (offset + hue / 30) % 12;
    return Math.round(255 * (lightness - chroma * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}

export interface Owned {
  readonly backend: number;
  readonly slots: number;
}

/** How many slots each owns, the most first. */
export function countOwners(owners: Uint16Array): Owned[] {
  const counts = new Map<number, number>();
  for (const owner of owners) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  return [...counts]
    .map(([backend, slots]) => ({ backend, slots }))
    .sort((one, other) => other.slots - one.slots || one.backend - other.backend);
}
