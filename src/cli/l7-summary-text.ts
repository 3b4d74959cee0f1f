/** What the tier does by a config, in a few lines, for `anyhop check` and `anyhop l7 check`. */
import type { L7Summary } from '../config/summary.js';
import { amount } from '../core/figures.js';
import { aligned } from './format.js';

export function drawL7Summary({ frontends, upstreams }: L7Summary): string[] {
  return [
    'layer 7, on the proxy hosts',
    ...aligned([...frontends.map(frontendRow), ...upstreams.map(upstreamRow)]).map((line) => `  ${line}`),
  ];
}

function frontendRow({
  name,
  services,
  redirectFrom,
  certificates,
  clients,
  routes,
}: L7Summary['frontends'][number]): string[] {
  return [
    `frontend ${name}`,
    amount(routes, 'route'),
    [
      `${certificates === undefined ? 'plain HTTP' : 'TLS'} on ${services.join(', ')}`,
      ...(clients === undefined ? [] : ['client certificates']),
      ...(redirectFrom.length === 0 ? [] : [`redirected to from ${redirectFrom.join(', ')}`]),
    ].join(', '),
  ];
}

function upstreamRow({
  name,
  balance,
  servers,
  active,
  health,
  interval,
  tls,
  sticky,
}: L7Summary['upstreams'][number]): string[] {
  return [
    `upstream ${name}`,
    amount(servers, 'server'),
    [
      `by ${balance}`,
      ...(active < servers ? [`${servers - active} draining`] : []),
      health === undefined ? 'not checked' : `checked by ${health} every ${interval}`,
      ...(tls === undefined ? [] : [`TLS to ${tls}`]),
      ...(sticky === undefined ? [] : [`sticky by ${sticky}`]),
    ].join(', '),
  ];
}
