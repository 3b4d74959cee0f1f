/** The clients of benches and of the generator, as native/dev/flows.h counts them. */

/** The first; the second octet of its last 32 bits counts up, the last one down, then the first up and the third down. */
export const FIRST_CLIENT4 = '20.0.128.255';
export const FIRST_CLIENT6 = '2001:db8:c11e::1400:80ff';

/** More flows than these there cannot be; their number is a power of two. */
export const FLOWS_MAX = 1 << 20;
/** Of each client, and of all of them, when flows are many. */
export const CLIENT_PORTS_MAX = 4096;
export const CLIENTS_MAX = 32_768;
/** The first port of every client. */
export const CLIENT_PORT_FIRST = 1024;

/** Of spoofed packets the last bits of these differ: 20.0.0.0/8, and every /64 in 2001:db8:c100::/40. */
export const SPOOFED_BITS = 24;
export const SPOOFED_BASE4 = '20.0.0.0';
export const SPOOFED_BASE6 = '2001:db8:c100::1';
export const SPOOFED_NETS = { 4: '20.0.0.0/8', 6: '2001:db8:c100::/40' } as const;
