/** The search part of an image, its header and VIPs: which VIPs it finds, and a copy that finds fewer. */
import { L } from '../../core/layout.gen.js';
import type { Image } from '../../image/read.js';

/** No family: a search finds nothing in such a place, and goes on behind it. */
const FAMILY_NONE = 0xff;

/** A copy that does not find the VIPs for which `isGone` holds. @param isGone by word index */
export function searchWithout(
  image: Image,
  search: Uint8Array,
  isGone: (vip: number) => boolean,
): Uint8Array {
  const copy = search.slice();
  for (let place = 0; place <= image.vipMask; place++) {
    const vip = image.vipWord + place * (L.SIZEOF_VIP / 4);
    const family = vip * 4 + L.VIP_FAMILY;
    if (copy[family] !== 0 && isGone(vip)) copy[family] = FAMILY_NONE;
  }
  return copy;
}

/** Whether an image knows every VIP of another. */
export function findsAllOf(image: Image, other: Image): boolean {
  for (let place = 0; place <= other.vipMask; place++) {
    const vip = other.vipWord + place * (L.SIZEOF_VIP / 4);
    if (other.words[vip + L.VIP_FAMILY / 4] !== 0 && !findsVip(image, other, vip)) return false;
  }
  return true;
}

/** @param vip of the other image, by word index */
export function findsVip(image: Image, { words }: Image, vip: number): boolean {
  return words[vip + L.VIP_FAMILY / 4] === 4
    ? image.findVip4(words[vip + 3]) >= 0
    : image.findVip6(words[vip], words[vip + 1], words[vip + 2], words[vip + 3]) >= 0;
}
