/**
 * The instances of a Consul service whose checks pass, by blocking queries: Consul answers when something has changed. An index that goes
 * backwards, as after a restore, begins anew.
 */
import * as z from 'zod';
import type { ConsulSourceConfig } from '../../config/discover/types.js';
import { BACKENDS_PER_POOL_MAX } from '../../core/limits.js';
import { parseAddress } from '../../packet/address.js';
import type { Found, Source } from '../answer.js';
import { memberName } from '../names.js';
import { portOf, type Reading, weightWithin } from '../reading.js';
import { get, tokenIn } from './get.js';
import { readJson } from './json.js';

const WAIT_SECONDS = 55;
/** Consul adds up to a sixteenth to the time that it waits. */
const TIMEOUT_MS = 70_000;
/** A service that changes all the time is not asked more often. */
const AGAIN_MS = 500;
const OK = 200;

const instances = z
  .array(
    z.object({
      Node: z.object({ Node: z.string(), Address: z.string() }),
      Service: z.object({
        ID: z.string(),
        Service: z.string(),
        Address: z.string(),
        Port: z.int().min(0).max(65_535).optional(),
        Weights: z.object({ Passing: z.int() }).optional(),
      }),
    }),
  )
  .max(2 * BACKENDS_PER_POOL_MAX);

export function consulSource(
  { url, service, tokenFile, caFile }: ConsulSourceConfig,
  reading: Reading,
): Source {
  const place = `${url}/v1/health/service/${encodeURIComponent(service)}?passing=1`;
  let index = 0n;
  return {
    words: `${service} of Consul at ${url}`,
    ask: async (signal) => {
      const headers = tokenFile === undefined ? {} : { 'x-consul-token': tokenIn(tokenFile) };
      const wait = index === 0n ? '' : `&index=${index}&wait=${WAIT_SECONDS}s`;
      const answer = await get({ url: place + wait, headers, caFile, timeoutMs: TIMEOUT_MS, signal }).catch(
        (error: unknown) => {
          index = 0n; // the next question is answered at once
          throw error;
        },
      );
      if (answer.status !== OK) {
        index = 0n;
        throw new Error(`${url}: HTTP status ${answer.status}; expected ${OK}`);
      }
      const found = readJson(instances, answer.body, url).map((one) => foundOf(one, reading));
      const next = indexOf(answer.headers['x-consul-index']);
      index = next < index ? 0n : next;
      return { found, againMs: AGAIN_MS };
    },
  };
}

function foundOf({ Node: node, Service: one }: z.output<typeof instances>[number], reading: Reading): Found {
  const text = one.Address === '' ? node.Address : one.Address;
  const address = parseAddress(text)?.text;
  const id = one.ID === one.Service ? node.Node : `${node.Node}-${one.ID}`;
  if (address === undefined) throw new Error(`${id}: ${JSON.stringify(text)} is no address`);
  const weight = one.Weights?.Passing;
  return {
    name: memberName(id),
    address,
    ...portOf(id, one.Port, reading),
    ...(weight !== undefined && { weight: weightWithin(weight, reading) }),
  };
}

function indexOf(header: string | string[] | undefined): bigint {
  return typeof header === 'string' && /^[0-9]{1,20}$/.test(header) ? BigInt(header) : 0n;
}
