/** Ethernet addresses: six bytes, or text as iproute2 writes it. */

/** @param text six pairs of hex digits with colons between them, as the kernel's tools print them */
export function parseMac(text: string): Uint8Array {
  return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function formatMac(mac: Uint8Array): string {
  let text = HEX[mac[0]];
  for (let i = 1; i < mac.length; i++) text += `:${HEX[mac[i]]}`;
  return text;
}

/**
 * Stand-ins where no real address is known, locally administered: of the node, and of a router before it. Backends begin with
 * 02:01.
 */
export const NODE_MAC: Uint8Array = Uint8Array.of(0x02, 0x00, 0x00, 0x00, 0x00, 0x01);
export const ROUTER_MAC: Uint8Array = Uint8Array.of(0x02, 0x00, 0x00, 0x00, 0x00, 0x02);
