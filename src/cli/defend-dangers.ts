/**
 * Why a prefix is better not blocked: it holds an address of the fleet, of this host or of whoever types the command, or a large part of
 * the Internet. Lists touch only packets for services, so nobody is locked out; but what is typed so is a mistake, as a rule.
 */
import { networkInterfaces } from 'node:os';
import { type InForce, readInForce } from '../api/in-force.js';
import { AnyhopError } from '../core/errors.js';
import { listed } from '../core/listed.js';
import { type IpPrefix, parseAddress, parsePrefix, prefixesOverlap } from '../packet/address.js';
import { ask } from './control-client.js';

/** Shorter ones are refused: a /8 is one address of 256, and 2000::/12 one of 512 of those in use. */
const LENGTH_MIN = { 4: 8, 6: 12 } as const;

interface Known {
  /** In words, for `holds ...`. */
  readonly what: string;
  readonly prefix: IpPrefix;
}

/** @throws AnyhopError ERR_USAGE that names what the prefixes hold; as `ask` */
export async function refuseDangers(socket: string, prefixes: readonly IpPrefix[]): Promise<void> {
  const fleet = readInForce(await ask(socket, '/in-force'), socket);
  refuse(dangersOf(prefixes, fleet, networkInterfaces(), process.env['SSH_CONNECTION']));
}

/** @param login as sshd sets it: `CLIENT PORT SERVER PORT`; undefined without a login from elsewhere */
export function dangersOf(
  prefixes: readonly IpPrefix[],
  fleet: InForce,
  interfaces: ReturnType<typeof networkInterfaces>,
  login?: string,
): string[] {
  const known = [...ofFleet(fleet), ...ofHost(interfaces), ...ofLogin(login)];
  return prefixes.flatMap((prefix) => [...tooWide(prefix), ...held(prefix, known)]);
}

/** Of prefixes that are to be allowed, which none of the fleet's addresses speak against. @throws as refuseDangers */
export function refuseWide(prefixes: readonly IpPrefix[]): void {
  refuse(prefixes.flatMap(tooWide));
}

function refuse(dangers: readonly string[]): void {
  if (dangers.length === 0) return;
  throw new AnyhopError('ERR_USAGE', `nothing was changed: ${listed(dangers, { separator: '; ' })}`, {
    hint: 'Name a smaller prefix; --force takes it as it is.',
  });
}

function tooWide({ text, length, address: { family } }: IpPrefix): string[] {
  if (length >= LENGTH_MIN[family]) return [];
  return [
    length === 0
      ? `${text} is every IPv${family} address`
      : `${text} is 1 of ${2 ** length} of all IPv${family} addresses`,
  ];
}

/** What a prefix holds, the first of each kind. */
function held(prefix: IpPrefix, known: readonly Known[]): string[] {
  const found = known.filter((each) => prefixesOverlap(prefix, each.prefix)).map(({ what }) => what);
  return found.length === 0 ? [] : [`${prefix.text} holds ${listed(found, { most: 2 })}`];
}

function ofFleet({ pools, source4, source6, node }: InForce): Known[] {
  return [
    ...pools.flatMap(({ name: pool, backends }) =>
      backends.map(({ name, address: { text } }) => ({
        what: `${text} of backend ${pool}/${name}`,
        prefix: parsePrefix(text)!,
      })),
    ),
    ...[source4, source6].flatMap((prefix) =>
      prefix === undefined ? [] : [{ what: `the source of forwarder ${node}`, prefix }],
    ),
  ];
}

function ofHost(interfaces: ReturnType<typeof networkInterfaces>): Known[] {
  return Object.entries(interfaces).flatMap(([name, addresses = []]) =>
    addresses.flatMap(({ address, internal }) => {
      const prefix = internal ? undefined : parsePrefix(address);
      return prefix === undefined ? [] : [{ what: `${address} of this host (${name})`, prefix }];
    }),
  );
}

function ofLogin(connection = ''): Known[] {
  const [client = ''] = connection.split(' ');
  if (parseAddress(client) === undefined) return [];
  return [{ what: `${client}, from where you are logged in`, prefix: parsePrefix(client)! }];
}
