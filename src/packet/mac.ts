/** Ethernet addresses: six bytes, and the text that iproute2 writes. */

/** @param text six pairs of hex digits with colons between them, as the kernel's tools print them */
export function parseMac(text: string): Uint8Array {
  return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
}

export function formatMac(mac: Uint8Array): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}
