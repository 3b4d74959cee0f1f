/** The text of `anyhop which --url`: a block of labelled rows for each frontend that may take the request. */
import { parseAddress } from '../packet/address.js';
import { formatEndpoint } from '../packet/compose.js';
import { describeState } from './decider.js';
import { labelled, someOf } from './format.js';
import { noteRows, ownerText } from './which-flow.js';
import type {
  AnswerReport,
  FrontendReport,
  RouteReport,
  RoutesReport,
  ServiceReport,
  Unmet,
  UpstreamReport,
  UrlReport,
} from './which-report.js';

type Rows = [string, string][];

const SPEAKS = { https: 'https', http: 'http', redirect: 'http, sent to https' } as const;
/** Routes passed over that are shown; --json has all. */
const PASSED_OVER_SHOWN = 8;

export function drawUrlReport(report: UrlReport): string {
  const blocks = report.frontends.map(frontendRows);
  const [first = [['frontend', `none: ${report.why}`] as [string, string]], ...others] = blocks;
  return [[...headRows(report), ...first], ...others].map((rows) => labelled(rows, '')).join('\n');
}

function headRows({ config, state, request: { url, headers } }: UrlReport): Rows {
  const lines = headers.map((line): [string, string] => ['header', line]);
  return [
    ...(state === undefined ? [] : [['state', describeState(state)] as [string, string]]),
    ...(state?.from === 'file' ? [] : [['config', config] as [string, string]]),
    ['request', url],
    ...lines,
  ];
}

function frontendRows(report: FrontendReport): Rows {
  return [
    ['frontend', `${report.frontend}: ${SPEAKS[report.speaks]}`],
    ...certificateRows(report),
    ...report.services.flatMap(serviceRows),
    ...proxyHostRows(report.services),
    ...answerRows(report.answer),
  ];
}

function certificateRows({ certificate }: FrontendReport): Rows {
  if (certificate === undefined) return [];
  if ('unknown' in certificate) return [['certificate', `not known: ${certificate.unknown}`]];
  return [
    [
      'certificate',
      certificate.file ?? 'NONE is for this host: clients refuse the one that they get instead',
    ],
  ];
}

function serviceRows({ service, vip, port, pool, flow }: ServiceReport): Rows {
  const endpoint = formatEndpoint({ address: parseAddress(vip)!, port });
  const head: Rows = [['service', `${service}: ${endpoint}, pool ${pool}`]];
  if (flow === undefined) return head;
  if (flow.verdict !== 'forwarded') head.push(['verdict', `${flow.verdict}: ${flow.meaning}`]);
  if (flow.slot === undefined) return head;
  return [
    ...head,
    ['slot', `${flow.slot} of ${flow.slots}`],
    ['proxy host', ownerText(flow)],
    ...noteRows(flow),
  ];
}

/** Once for each pool. */
function proxyHostRows(services: readonly ServiceReport[]): Rows {
  const pools = new Map(services.map(({ pool, proxyHosts }) => [pool, proxyHosts]));
  return [...pools.values()].flatMap((hosts): Rows => {
    if (hosts === undefined) return [];
    const names = hosts.map(
      ({ name, address, state }) =>
        `${name} (${[address, ...(state === 'active' ? [] : [state])].join(', ')})`,
    );
    return [['proxy host', `the slot depends on the client (--src); one of ${someOf(names)}`]];
  });
}

function answerRows(answer: AnswerReport): Rows {
  switch (answer.from) {
    case 'acme':
      return [['answer', `200, the answer to a challenge of a certificate authority: ${answer.body}`]];
    case 'redirect_from':
      return [
        [
          'answer',
          answer.status === 308
            ? `308 to ${answer.location} (redirect_from)`
            : '400: the host is no name that clients could be sent to (redirect_from)',
        ],
      ];
    case 'routes':
      return routesRows(answer);
  }
}

function routesRows(answer: RoutesReport): Rows {
  const { passedOver, status, location, upstream } = answer;
  const shown = passedOver.slice(0, PASSED_OVER_SHOWN);
  const more = passedOver.length - shown.length;
  return [
    ...shown.map((route): [string, string] => [
      'passed over',
      `${nameOf(route)}: ${route.unmet.map(drawUnmet).join('; ')}`,
    ]),
    ...(more > 0 ? [['passed over', `${more} more (--json)`] as [string, string]] : []),
    [
      'route',
      answer.route === null ? `none: ${whyNone(answer)}` : `${nameOf(answer.route)}: ${whyThis(answer)}`,
    ],
    ...(status === undefined
      ? []
      : [
          ['answer', location === undefined ? String(status) : `${status} to ${location}`] as [
            string,
            string,
          ],
        ]),
    ...(upstream === undefined ? [] : upstreamRows(upstream)),
  ];
}

function nameOf({ index, line, match }: RouteReport): string {
  return `routes[${index}] (line ${line}) ${match}`;
}

function drawUnmet({ kind, name, wanted, found, isDeleted }: Unmet): string {
  if (isDeleted) return `proxy hosts delete the header ${name}, so it never has the value ${wanted}`;
  if (found === null) return `the request has no ${kind} ${name}`;
  return `the ${kind} ${name} is ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`;
}

function whyThis({ pattern, route, passedOver }: RoutesReport): string {
  if (passedOver.length > 0) return 'the first in order whose conditions hold';
  return route!.pattern === pattern
    ? 'its host is the most specific that matches, and its path the longest'
    : 'no more specific host has a route with this path';
}

function whyNone({ host, pattern, passedOver }: RoutesReport): string {
  if (pattern === null) return `no route is for the host ${JSON.stringify(host)}`;
  return passedOver.length > 0
    ? 'no conditions hold'
    : `no route of ${pattern}, or of a less specific host, has the path`;
}

function upstreamRows({ name, balance, stickyCookie, now, servers }: UpstreamReport): Rows {
  const sticky = stickyCookie === undefined ? '' : `, sticky by cookie ${stickyCookie}`;
  const usable =
    now === undefined
      ? ''
      : `; on this host, ${now.usable} of ${now.active} active servers usable${now.panic ? ', PANIC: all get requests' : ''}`;
  const texts = servers.map(({ name: server, address, weight, state, health, why }) => {
    const notes = [
      address,
      ...(weight === 1 ? [] : [`weight ${weight}`]),
      ...(state === 'active' ? [] : [state]),
      ...(health === undefined || health === 'up' || health === 'unchecked'
        ? []
        : [`${health === 'down' ? 'DOWN' : health}${why === undefined ? '' : `: ${why}`}`]),
    ];
    return `${server} (${notes.join(', ')})`;
  });
  return [
    ['upstream', `${name}: ${balance}${sticky}${usable}`],
    ['servers', someOf(texts)],
  ];
}
