/**
 * What a veth does to XDP and to checksums, in containers and labs. Measured on Linux 6.18: of nine flows through a forwarder whose
 * far end had GRO and no program, none arrived, and every frame counted as sent.
 */
import type { Logger } from '../core/log.js';
import type { Link } from './link.js';

const CHECKSUMS =
  'switch checksum offload off where senders on this machine send from: ethtool -K eth0 tx off';

/** For a line about frames that a driver could not send. */
export const SEND_HINT =
  'On a veth, frames that XDP sends arrive only while the far end has an XDP program itself; GRO there is not enough. ' +
  'There: anyhop pass --interface FAR_END';

/** For a line about packets with wrong checksums. */
export const CHECKSUM_HINT = `Over a veth, packets come without the checksum that a network card would have filled in: ${CHECKSUMS}`;

/** @param sends whether an XDP program sends frames back out of the interface */
export function warnAboutVeth(
  { name, kind }: Pick<Link, 'name' | 'kind'>,
  sends: boolean,
  log: Logger,
): void {
  if (kind !== 'veth') return;
  const arrive = 'frames that XDP sends arrive only while its far end has an XDP program, and ';
  log.warn(
    {
      event: 'veth',
      interface: name,
      hint: `${sends ? `At the far end: anyhop pass --interface FAR_END. ` : ''}And ${CHECKSUMS}`,
    },
    `${name} is a veth: ${sends ? arrive : ''}packets of senders on this machine may come without checksums`,
  );
}
