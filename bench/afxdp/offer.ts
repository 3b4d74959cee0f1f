/**
 * The process that offers packets in bench/afxdp.ts, in the far end's namespace: offer.js INTERFACE MAC VIP CPU. Each request
 * over the IPC channel is a time in milliseconds; it is answered when that is over.
 */

import { parseAddress } from '#anyhop/packet/address.js';
import { formatMac } from '#anyhop/packet/mac.js';
import { requireEthernetLink } from '#anyhop/underlay/link.js';
import { Generator } from '../../scripts/native/generator.js';
import { devLibrary } from '../../scripts/native/object.js';

export interface OfferRequest {
  readonly milliseconds: number;
}

const [interfaceName = '', mac = '', vip = '', cpu = '0'] = process.argv.slice(2);
const FLOWS = 65536;
const PACKETS_MAX = 1e12;

devLibrary.call('ERR_BPF', 'anyhop_dev_pin', Number(cpu));
const link = await requireEthernetLink(interfaceName);
const generator = new Generator({
  interfaceIndex: link.index,
  sourceMac: formatMac(link.mac),
  destinationMac: mac,
  targets: [{ protocol: 'tcp', address: parseAddress(vip)!, port: 80 }],
  flows: FLOWS,
  sizes: [64],
  synShare: 0,
});
process.on('message', async ({ milliseconds }: OfferRequest) => {
  await generator.run({ packets: PACKETS_MAX, seconds: milliseconds / 1000 });
  process.send!({ value: generator.packets });
});
process.on('disconnect', () => process.exit());
process.send!({ value: 'ready' });
