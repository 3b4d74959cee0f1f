/** Address and port of a TCP socket in one text: `192.0.2.1`, `192.0.2.1:9613`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:9613`. */
import { type IpAddress, parseAddress } from '../packet/address.js';
import { parsed } from './fields.js';

export interface Endpoint {
  readonly address: IpAddress;
  readonly port: number;
}

const BRACKETS = /^\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}))?$/;
const IPV4_WITH_PORT = /^([0-9.]+):([0-9]{1,5})$/;

/** @param port of a text without one */
export function endpointOf(port: number) {
  const expected = `an address with or without a port: 192.0.2.1, "192.0.2.1:${port}", "2001:db8::1" or "[2001:db8::1]:${port}"`;
  return parsed(expected, (text) => parseEndpoint(text, port), /^[0-9A-Fa-f:.[\]]+$/);
}

export function formatEndpoint({ address, port }: Endpoint): string {
  return address.family === 6 ? `[${address.text}]:${port}` : `${address.text}:${port}`;
}

function parseEndpoint(text: string, portDefault: number): Endpoint | undefined {
  const bracketed = BRACKETS.exec(text);
  const [, host = text, digits] = bracketed ?? IPV4_WITH_PORT.exec(text) ?? [];
  const address = parseAddress(host);
  const port = digits === undefined ? portDefault : Number(digits);
  const isWhole = address !== undefined && (bracketed === null || address.family === 6);
  return isWhole && port >= 1 && port <= 65535 ? { address, port } : undefined;
}
