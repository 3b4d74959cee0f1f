/** The schema of the section `announce`: how `anyhop announce` tells routers of the VIPs. */
import * as z from 'zod';
import {
  ANNOUNCE_DRAIN_METRIC_DEFAULT,
  ANNOUNCE_METRIC_DEFAULT,
  ANNOUNCE_METRICS_PORT_DEFAULT,
  ANNOUNCE_ORPHAN_MS_DEFAULT,
  ANNOUNCE_ORPHAN_MS_MAX,
  ANNOUNCE_RISE_MS_DEFAULT,
  ANNOUNCE_RISE_MS_MAX,
  ANNOUNCE_TABLE_DEFAULT,
  REGION_FILE_DEFAULT,
  REGION_PORT_DEFAULT,
  REGION_RELOAD_WORDS_MAX,
  REGIONS_MAX,
  ROUTE_METRIC_MAX,
  ROUTE_TABLE_MAIN,
  ROUTE_TABLE_MAX,
  ROUTE_TABLES_TAKEN,
} from '../../core/limits.js';
import { formatDuration } from '../../core/time.js';
import { endpointOf } from '../endpoint.js';
import { choice, duration, integer, named, reading, text } from '../fields.js';
import { file } from '../l7/patterns.js';
import { metrics } from '../metrics/schema.js';
import { address, NAME_PATTERN, path, socketPath } from '../name-fields.js';
import { region } from './region-schema.js';

const TABLE_EXPECTED = `main, or the number of a routing table, 1 to ${ROUTE_TABLE_MAX}, but none of the kernel's own (253, 254, 255)`;
const METRIC_EXPECTED = `a whole number, 1 to ${ROUTE_METRIC_MAX}`;

/** What needs no quotes in gdnsd's configuration. */
const REGION_FILE_EXPECTED = 'an absolute path of letters, digits and "._-"';

export const announce = z
  .strictObject(
    {
      table: z
        .union([z.literal('main'), integer(TABLE_EXPECTED, 1, ROUTE_TABLE_MAX)], { error: TABLE_EXPECTED })
        .transform(
          reading(TABLE_EXPECTED, (value: number | 'main') => {
            if (value === 'main') return ROUTE_TABLE_MAIN;
            return ROUTE_TABLES_TAKEN.includes(value) ? undefined : value;
          }),
        )
        .prefault(ANNOUNCE_TABLE_DEFAULT)
        .describe(
          'Routing table of the kernel that gets a row for each VIP, for the routing daemon to export.',
        ),
      metric: integer(METRIC_EXPECTED, 1, ROUTE_METRIC_MAX)
        .default(ANNOUNCE_METRIC_DEFAULT)
        .describe('Metric of the row of a VIP that this node is ready for.'),
      drain_metric: integer(METRIC_EXPECTED, 1, ROUTE_METRIC_MAX)
        .default(ANNOUNCE_DRAIN_METRIC_DEFAULT)
        .describe('Metric of the row while the node stops (node.stop_delay). It is larger than metric.'),
      orphan_time: named(
        'orphanMs',
        duration(0, ANNOUNCE_ORPHAN_MS_MAX)
          .prefault(formatDuration(ANNOUNCE_ORPHAN_MS_DEFAULT))
          .describe('How long rows stay while the kernel forwards without a process (engine xdp).'),
      ),
      withdraw_when: choice(['never', 'pool_down'])
        .default('never')
        .describe(
          'Whether health withdraws a VIP. pool_down: when no backend of its services is up, for sites that another site can replace.',
        ),
      rise: named(
        'riseMs',
        duration(0, ANNOUNCE_RISE_MS_MAX)
          .prefault(formatDuration(ANNOUNCE_RISE_MS_DEFAULT))
          .describe('How long a VIP must be ready before it is announced.'),
      ),
      vips: z
        .array(address, { error: 'a list of VIPs, at least one' })
        .min(1, { error: 'a list of VIPs, at least one' })
        .optional()
        .describe('Only these VIPs are announced. Default: the VIPs of all services.'),
      track_file: path
        .optional()
        .describe(
          'File that keepalived tracks, in an active-passive pair: one number, which it adds to the priority of this node.',
        ),
      socket: socketPath
        .optional()
        .describe(
          'Path of the control socket of the announcer. Default: /run/anyhop/NAME-announce.sock, with the name of the node.',
        ),
      listen: endpointOf(REGION_PORT_DEFAULT)
        .optional()
        .describe(
          'Address and port on which this node tells DNS hosts whether it is ready, over TLS with a certificate on both sides.',
        ),
      certificate: file
        .optional()
        .describe(
          'File with certificate, chain and private key of this host: a node has its name in it (node.name), a DNS host any name.',
        ),
      ca_file: file
        .optional()
        .describe('File with the certificates of those who sign the certificates of nodes and DNS hosts.'),
      regions: z
        .record(z.string(), region, { error: 'a mapping of regions by name' })
        .meta({ maxProperties: REGIONS_MAX, propertyNames: { pattern: NAME_PATTERN.source } })
        .optional()
        .describe('Sites among which a DNS server chooses, by name, the preferred one first.'),
      region_file: text(REGION_FILE_EXPECTED, /^(?:\/[A-Za-z0-9._-]+)+$/)
        .default(REGION_FILE_DEFAULT)
        .describe(
          'File for gdnsd, written by `anyhop announce --region` on a DNS host: which VIPs are up. The weights are in a file beside it, NAME.weights.',
        ),
      region_reload: z
        .array(text('a word without spaces', /^[!-~]+$/), { error: 'a list of words: [gdnsdctl, replace]' })
        .max(REGION_RELOAD_WORDS_MAX, {
          error: `a list of words, ${REGION_RELOAD_WORDS_MAX} at most: [gdnsdctl, replace]`,
        })
        .optional()
        .describe(
          'Command, without a shell, that makes the DNS server read the file. []: none. Default: [gdnsdctl, replace].',
        ),
      metrics: metrics(ANNOUNCE_METRICS_PORT_DEFAULT).optional(),
    },
    { error: 'a mapping {table: ..., metric: ...}' },
  )
  .describe('How routers learn of the VIPs.');
