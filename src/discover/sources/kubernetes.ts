/**
 * Endpoints of a Kubernetes service, from its EndpointSlices (discovery.k8s.io/v1): all pages of the list, every few seconds. A watch would tell
 * some seconds earlier, which the debounce would wait for anyway, and would have to be held to the list all the same.
 *
 *   ready                      active
 *   serving and terminating    draining
 *   anything else              not there
 */
import * as z from 'zod';
import { GROUP_KINDS } from '../../config/discover/kinds.js';
import type { KubernetesSourceConfig } from '../../config/discover/types.js';
import { BACKENDS_PER_POOL_MAX } from '../../core/limits.js';
import { listed } from '../../core/listed.js';
import { printable } from '../../core/printable.js';
import { parseAddress } from '../../packet/address.js';
import type { Found, Source } from '../answer.js';
import { memberName } from '../names.js';
import { portOf, type Reading } from '../reading.js';
import { get, tokenIn } from './get.js';
import { readJson } from './json.js';

const TIMEOUT_MS = 10_000;
const PAGE = 500;
const PAGES_MAX = 20;
const OK = 200;
const PORTS_SHOWN_MAX = 5;

const conditions = z.object({
  ready: z.boolean().nullish(),
  serving: z.boolean().nullish(),
  terminating: z.boolean().nullish(),
});
const slices = z.object({
  metadata: z.object({ continue: z.string().optional() }),
  items: z.array(
    z.object({
      addressType: z.string(),
      ports: z
        .array(
          z.object({
            name: z.string().nullish(),
            port: z.int().min(0).max(65_535).nullish(),
            protocol: z.string().nullish(),
          }),
        )
        .nullish(),
      endpoints: z
        .array(
          z.object({
            addresses: z.array(z.string()).min(1),
            conditions: conditions.nullish(),
            targetRef: z.object({ name: z.string().optional() }).nullish(),
          }),
        )
        .max(2 * BACKENDS_PER_POOL_MAX)
        .nullish(),
    }),
  ),
});
type Slice = z.output<typeof slices>['items'][number];

export function kubernetesSource(config: KubernetesSourceConfig, reading: Reading): Source {
  const { url, namespace, service, everyMs } = config;
  return {
    words: `${namespace}/${service} of Kubernetes at ${url}`,
    ask: async (signal) => {
      const slices = await slicesOf(config, signal);
      // A pod of both families is one, by its IPv4 address; and for some time it may be in two slices of one.
      const ordered = ['IPv6', 'IPv4'].flatMap((type) =>
        slices.filter(({ addressType }) => addressType === type),
      );
      const byName = new Map(
        ordered.flatMap((slice) => foundIn(slice, config.port, reading)).map((one) => [one.name, one]),
      );
      return { found: [...byName.values()], againMs: everyMs };
    },
  };
}

async function slicesOf(
  { url, namespace, service, tokenFile, caFile }: KubernetesSourceConfig,
  signal: AbortSignal,
): Promise<Slice[]> {
  const query = `labelSelector=${encodeURIComponent(`kubernetes.io/service-name=${service}`)}&limit=${PAGE}`;
  const place = `${url}/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?${query}`;
  const items: Slice[] = [];
  let next: string | undefined;
  for (let page = 0; page < PAGES_MAX; page++) {
    const headers = {
      accept: 'application/json',
      ...(tokenFile !== undefined && { authorization: `Bearer ${tokenIn(tokenFile)}` }),
    };
    const from = next === undefined ? '' : `&continue=${encodeURIComponent(next)}`;
    const { status, body } = await get({ url: place + from, headers, caFile, timeoutMs: TIMEOUT_MS, signal });
    if (status !== OK) throw new Error(`${url}: HTTP status ${status}; expected ${OK}`);
    const { metadata, items: some } = readJson(slices, body, url);
    items.push(...some);
    next = metadata.continue;
    if (next === undefined || next === '') return items;
  }
  throw new Error(`${url}: more than ${PAGES_MAX * PAGE} EndpointSlices`);
}

function foundIn(slice: Slice, portName: string | undefined, reading: Reading): Found[] {
  return (slice.endpoints ?? []).flatMap(({ addresses: [text], conditions: said, targetRef }): Found[] => {
    // What is not said counts as ready, and serving as ready does (the API's own rules).
    const { ready, serving, terminating } = said ?? {};
    const isReady = ready ?? true;
    const isDraining = !isReady && terminating === true && (serving ?? isReady);
    if (!isReady && !isDraining) return [];
    const address = parseAddress(text!)?.text;
    if (address === undefined) throw new Error(`${JSON.stringify(text)} is no address`);
    const name = memberName(targetRef?.name ?? address);
    const port = portOf(name, portIn(slice, portName, reading), reading);
    return [{ name, address, ...port, draining: isDraining }];
  });
}

/** The TCP port of all endpoints of a slice. @throws Error when there are several, and it is not said which */
function portIn({ ports }: Slice, wanted: string | undefined, { kind }: Reading): number | undefined {
  if (!GROUP_KINDS[kind].hasPorts) return undefined;
  const overTcp = (ports ?? []).filter(({ protocol }) => (protocol ?? 'TCP') === 'TCP');
  const named = wanted === undefined ? overTcp : overTcp.filter(({ name }) => name === wanted);
  if (named.length <= 1) return named[0]?.port ?? undefined;
  const names = listed(
    named.map(({ name }) => printable(name ?? '')),
    { most: PORTS_SHOWN_MAX },
  );
  throw new Error(`the service has the ports ${names}; set kubernetes.port to the name of one`);
}
