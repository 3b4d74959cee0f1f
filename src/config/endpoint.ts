/** Address and port of a TCP socket in one text: `192.0.2.1`, `192.0.2.1:9613`, `2001:db8::1` or `[2001:db8::1]:9613`. */
import { REGION_PORT_DEFAULT } from '../../core/limits.js';
import { type IpAddress, parseAddress } from '../../packet/address.js';
import { parsed } from '../fields.js';

export interface Endpoint {
  readonly address: IpAddress;
  readonly port: number;
}

const WITH_PORT = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})$/;
const ENDPOINT_EXPECTED = `an address with or without a port: 192.0.2.1, "192.0.2.1:${REGION_PORT_DEFAULT}", "2001:db8::1" or "[2001:db8::1]:${REGION_PORT_DEFAULT}"`;

/** Without a port it is REGION_PORT_DEFAULT. */
export const endpoint = parsed(ENDPOINT_EXPECTED, parseEndpoint, /^[0-9A-Fa-f:.[\]]+$/);

export function formatEndpoint({ address, port }: Endpoint): string {
  return address.family === 6 ? `[${address.text}]:${port}` : `${address.text}:${port}`;
}

function parseEndpoint(text: string): Endpoint | undefined {
  const [, six, four, digits] = WITH_PORT.exec(text) ?? [];
  const address = parseAddress(six ?? four ?? text);
  const port = digits === undefined ? REGION_PORT_DEFAULT : Number(digits);
  const hasFamily = address !== undefined && (six === undefined || address.family === 6);
  return hasFamily && port >= 1 && port <= 65535 ? { address, port } : undefined;
}
