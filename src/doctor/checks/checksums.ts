/** Senders over a veth leave checksums to a card that is not there, and this host drops what comes without. */
import { fieldOf, readChecksumErrors } from '../../agent/checksums.js';
import { CHECKSUM_HINT } from '../../underlay/veth.js';
import type { Check } from '../check.js';

/** Of what comes in: networks spoil a packet now and then. */
const SHARE_MIN = 0.01;

export const checksums: Check = {
  name: 'checksums',
  where: ['backend'],
  looks: 'This host does not drop packets for their checksums.',
  async run({ host }) {
    const { tcp, udp } = readChecksumErrors((path) => host.read(path) ?? '');
    const snmp = host.read('/proc/net/snmp') ?? '';
    const taken = fieldOf(snmp, 'Tcp', 'InSegs') + fieldOf(snmp, 'Udp', 'InDatagrams');
    if (tcp + udp === 0 || tcp + udp < taken * SHARE_MIN) return [];
    return [
      {
        level: 'error',
        saw: `${tcp} TCP segments and ${udp} UDP datagrams of ${taken} were dropped for their checksums (/proc/net/snmp, InCsumErrors)`,
        breaks: 'Connections hang, and the counters of forwarders and agents look well.',
        mend: CHECKSUM_HINT.replace(/^.*: /, ''),
      },
    ];
  },
};
