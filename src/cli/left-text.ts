/** Forwarding without a process, as text: that nobody is there comes first. */

import { amount, short } from '../core/figures.js';
import { clockTime } from '../core/time.js';
import { columns, labelled } from './format.js';
import type { LeftStatus } from './left-status.js';

const RIGHT = new Set(['MTU', 'PACKETS', 'PACKETS/S', 'BITS/S']);

export function drawLeft(left: LeftStatus, now = new Date()): string {
  const { engine, image, last, services, backends, verdicts } = left;
  const traffic = (of: LeftStatus['services'][number] | LeftStatus['backends'][number]): string[] => [
    String(of.packets),
    short(of.packetsPerSecond),
    short(of.bytesPerSecond * 8),
  ];
  const head = labelled(
    [
      drawProcess(left),
      ['interface', `${left.interface}, pins in ${left.pins}`],
      ...(last === undefined
        ? []
        : [['last event', `of ${last.node}, at ${clockTime(last.at, now)}: ${last.message}`] as const]),
      ['engine', `xdp: ${engine.mode}, program ${engine.programId} of anyhop ${engine.version}`],
      [
        'image',
        image === undefined
          ? 'of another version of anyhop: it cannot be read'
          : `generation ${image.generation}, ${short(image.bytes)}B, digest ${image.digest.slice(0, 16)}`,
      ],
    ],
    '',
  );
  return `${head}\n${[
    ...columns(
      ['SERVICE', 'VIP', 'PORTS', 'POOL', 'PACKETS', 'PACKETS/S', 'BITS/S'],
      services.map((service) => [
        service.name,
        service.vip,
        `${service.protocol} ${service.portFirst === service.portLast ? service.portFirst : `${service.portFirst}-${service.portLast}`}`,
        service.pool,
        ...traffic(service),
      ]),
      RIGHT,
    ),
    '',
    ...columns(
      ['BACKEND', 'POOL', 'ADDRESS', 'NEXT HOP', 'MTU', 'PACKETS', 'PACKETS/S', 'BITS/S'],
      backends.map((backend) => [
        backend.name,
        backend.pool,
        backend.address,
        `${backend.mac} interface ${backend.interfaceIndex}${backend.vlan === undefined ? '' : ` vlan ${backend.vlan}`}`,
        String(backend.mtu),
        ...traffic(backend),
      ]),
      RIGHT,
    ),
    '',
    ...columns(
      ['VERDICT', 'PACKETS', 'PACKETS/S'],
      Object.entries(verdicts).map(([name, { packets, packetsPerSecond }]) => [
        name,
        String(packets),
        short(packetsPerSecond),
      ]),
      RIGHT,
    ),
    '',
    `${amount(backends.length, 'backend')} as of the last image: checks and next hops are not followed, and no change is made.`,
    '"anyhop run" takes over without a gap; "anyhop stop" ends the forwarding.',
  ].join('\n')}\n`;
}

function drawProcess({ process }: LeftStatus): [string, string] {
  if (process === null)
    return ['NO PROCESS', 'nobody is in charge; the kernel forwards on by the last image'];
  const which = process.pid === null ? 'a process of another user' : `process ${process.pid}`;
  return [
    'SILENT',
    `${which} is in charge, but its control socket was not found or does not answer: name it with --socket`,
  ];
}
