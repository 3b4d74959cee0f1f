/**
 * Endpoints of a Kubernetes service, from its EndpointSlices (discovery.k8s.io/v1): all pages of the list, every few seconds. A watch would tell
 * some seconds earlier, which the debounce would wait for anyway, and would have to be held to the list all the same.
 *
 *   ready                      active
 *   serving and terminating    draining
 *   anything else              not there
 */
import * as z from 'zod';
import type { KubernetesSourceConfig } from '../../config/types.js';
import { BACKENDS_PER_POOL_MAX } from '../../core/limits.js';
import { parseAddress } from '../../packet/address.js';
import type { FoundBackend, Source } from '../answer.js';
import { backendName } from '../names.js';
import { get, tokenIn } from './get.js';
import { readJson } from './json.js';

const TIMEOUT_MS = 10_000;
const PAGE = 500;
const PAGES_MAX = 20;
const OK = 200;

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

export function kubernetesSource(config: KubernetesSourceConfig): Source {
  const { url, namespace, service, everyMs } = config;
  return {
    words: `${namespace}/${service} of Kubernetes at ${url}`,
    ask: async (signal) => {
      const slices = await listed(config, signal);
      // A pod of both families is one backend, by its IPv4 address; and for some time it may be in two slices of one.
      const ordered = ['IPv6', 'IPv4'].flatMap((type) =>
        slices.filter(({ addressType }) => addressType === type),
      );
      const byName = new Map(ordered.flatMap(backendsOf).map((one) => [one.name, one]));
      return { backends: [...byName.values()], againMs: everyMs };
    },
  };
}

async function listed(
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

function backendsOf({ endpoints }: Slice): FoundBackend[] {
  return (endpoints ?? []).flatMap(({ addresses: [text], conditions: said, targetRef }): FoundBackend[] => {
    // What is not said counts as ready, and serving as ready does (the API's own rules).
    const { ready, serving, terminating } = said ?? {};
    const isReady = ready ?? true;
    const isDraining = !isReady && terminating === true && (serving ?? isReady);
    if (!isReady && !isDraining) return [];
    const address = parseAddress(text!)?.text;
    if (address === undefined) throw new Error(`${JSON.stringify(text)} is no address`);
    return [{ name: backendName(targetRef?.name ?? address), address, draining: isDraining }];
  });
}
