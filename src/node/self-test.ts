/**
 * Before a node says that it is ready: one packet for a service of each IP version through the engine that is to forward
 * (Engine.tryFrame), which must make of it what the reference makes of it by the same image. It shows that the program in the
 * kernel, or the worker, is alive, has the image, and reads it as this process wrote it.
 */
import type { Config, ServiceConfig } from '../config/types.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import type { Engine } from '../engine/contract.js';
import { Pipeline } from '../forward/pipeline.js';
import { frameOfFlow, tryFrame } from '../forward/try-frame.js';
import type { Image } from '../image/read.js';
import { type IpAddress, parseAddress } from '../packet/address.js';

/**
 * Clients to try, the first of them nobody (RFC 5737, RFC 3849); nothing is ever sent to them. A list of blocked prefixes that the process
 * before this one left in force may have some of them, most likely the first.
 */
const CLIENTS = {
  4: ['192.0.2.1', '20.0.0.1', '91.0.0.1', '150.0.0.1', '203.0.0.1'],
  6: ['2001:db8::1', '2003::1', '2400::1', '2600::1', '2a00::1'],
};
const CLIENT_PORT = 49_152;

/** @throws AnyhopError ERR_ENGINE when the engine makes something else of a packet than it should */
export async function selfTest(
  engine: Engine,
  image: Image,
  { services, defend }: Pick<Config, 'services'> & Partial<Pick<Config, 'defend'>>,
): Promise<void> {
  for (const family of [4, 6] as const) {
    const service = services.find(({ vip }) => vip.family === family);
    if (service === undefined) continue;
    const mayDrop = defend?.rules.get(service.name)?.lists === 'enforce';
    for (const client of CLIENTS[family])
      if ((await tryOne(engine, image, service, parseAddress(client)!, mayDrop)) === 'passed') break;
  }
}

/**
 * @param mayDrop the engine has lists that this process knows nothing of
 * @throws AnyhopError ERR_ENGINE
 */
async function tryOne(
  engine: Engine,
  image: Image,
  service: ServiceConfig,
  client: IpAddress,
  mayDrop: boolean,
): Promise<'passed' | 'dropped'> {
  const frame = frameFor(service, client, image);
  const expected = tryFrame(new Pipeline(image), frame);
  const found = await engine.tryFrame(frame);
  const isSame =
    expected === undefined || found === undefined
      ? expected === found
      : Buffer.compare(expected, found) === 0;
  if (isSame) return 'passed';
  if (found === undefined && mayDrop) return 'dropped';
  const what = (sent: Uint8Array | undefined): string =>
    sent === undefined ? 'nothing' : `${sent.length} bytes`;
  throw new AnyhopError(
    'ERR_ENGINE',
    `the engine ${engine.name} failed its self-test: of a packet for ${service.name} it makes ${what(found)}, ` +
      `and should make ${what(expected)}`,
    { exitCode: EXIT.failure, hint: 'A fault of this program or of the kernel: please report it.' },
  );
}

function frameFor({ protocol, vip, portFirst }: ServiceConfig, client: IpAddress, image: Image): Uint8Array {
  const source = { address: client, port: CLIENT_PORT };
  return frameOfFlow(image, protocol, source, { address: vip, port: portFirst });
}
