/** The schema of regions: sites of which a DNS server answers with the VIPs of one, by weight or by where the client is. */
import * as z from 'zod';
import {
  REGION_NETS_MAX,
  REGION_NODE_WEIGHT_MAX,
  REGION_NODES_MAX,
  REGION_PORT_DEFAULT,
  REGION_VIPS_MAX,
} from '../../core/limits.js';
import { endpointOf } from '../endpoint.js';
import { integer, text } from '../fields.js';
import { address, name, prefix } from '../name-fields.js';

const NODES_EXPECTED = 'a list of nodes, at least one: - {name: ..., address: ...}';
const VIPS_EXPECTED = 'a list of VIPs, at least one: - {host: ..., vip: ...}';
const NETS_EXPECTED = 'a list of addresses or prefixes, at least one';
const HOST_EXPECTED = 'a name below the zone, "www" or "www.shop", or "@" for the zone itself';
const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';

const regionNode = z.strictObject(
  {
    name: name.describe('Name of the node (node.name). Its certificate is for this DNS name.'),
    address: endpointOf(REGION_PORT_DEFAULT).describe(
      `Where the node is asked, and its port if it is not ${REGION_PORT_DEFAULT}.`,
    ),
    weight: integer(`a whole number, 1 to ${REGION_NODE_WEIGHT_MAX}`, 1, REGION_NODE_WEIGHT_MAX)
      .default(1)
      .describe('How much the node carries, relative to other nodes. The node itself says it.'),
  },
  { error: 'a mapping {name: ..., address: ...}' },
);

const regionVip = z.strictObject(
  {
    host: text(HOST_EXPECTED, new RegExp(`^(?:@|(?=.{1,200}$)${LABEL}(?:\\.${LABEL})*)$`)).describe(
      'Name in the DNS that the address is for: a name below the zone, or "@".',
    ),
    vip: address.describe('VIP of this region, which no other region has.'),
  },
  { error: 'a mapping {host: ..., vip: ...}' },
);

export const region = z.strictObject(
  {
    nodes: z
      .array(regionNode, { error: NODES_EXPECTED })
      .min(1, { error: NODES_EXPECTED })
      .meta({ maxItems: REGION_NODES_MAX })
      .describe('Forwarders of the region.'),
    vips: z
      .array(regionVip, { error: VIPS_EXPECTED })
      .min(1, { error: VIPS_EXPECTED })
      .meta({ maxItems: REGION_VIPS_MAX })
      .describe('What the DNS answers for the region. Nodes of other regions do not announce these VIPs.'),
    nets: z
      .array(prefix, { error: NETS_EXPECTED })
      .min(1, { error: NETS_EXPECTED })
      .meta({ maxItems: REGION_NETS_MAX })
      .optional()
      .describe(
        'Clients (or their resolvers) that get this region first. Those of no region get one by weight.',
      ),
  },
  { error: 'a mapping {nodes: [...], vips: [...]}' },
);
