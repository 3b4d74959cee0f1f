/** Fields that many sections have: names, addresses, prefixes, paths. */
import { NAME_CHARS_MAX, SOCKET_PATH_BYTES_MAX } from '../core/limits.js';
import { parseAddress, parsePrefix } from '../packet/address.js';
import { parsed, text } from './fields.js';

/** Names of nodes, pools, services and backends. */
export const NAME_PATTERN = new RegExp(`^[A-Za-z0-9][A-Za-z0-9._-]{0,${NAME_CHARS_MAX - 1}}$`);
export const NAME_EXPECTED =
  `a name: letters, digits, ".", "_" and "-", the first one a letter or digit, ` +
  `${NAME_CHARS_MAX} characters at most`;

const ADDRESS_EXPECTED = 'an IPv4 or IPv6 address';
export const PREFIX_EXPECTED =
  'an IPv4 or IPv6 address, or a prefix "address/length" with no bit set behind its length';

export const name = text(NAME_EXPECTED, NAME_PATTERN);
export const address = parsed(ADDRESS_EXPECTED, parseAddress).meta({
  anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }],
  pattern: '^[0-9A-Fa-f:.]+$',
});
export const prefix = parsed(PREFIX_EXPECTED, parsePrefix).meta({
  pattern: '^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$',
});

export const PATH_PATTERN = /^\/[ -~]*$/;
export const path = text('an absolute path', PATH_PATTERN);
/** Of a Unix socket. */
export const socketPath = text(
  `an absolute path, ${SOCKET_PATH_BYTES_MAX} bytes at most`,
  new RegExp(`^/[!-~]{0,${SOCKET_PATH_BYTES_MAX - 1}}$`),
);
