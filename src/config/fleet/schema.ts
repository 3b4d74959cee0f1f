/** The schema of the section `fleet`: where the store is that a fleet agrees in, and whose revisions of the config are taken. */
import * as z from 'zod';
import { FLEET_ENDPOINTS_MAX } from '../../core/limits.js';
import { choice, text } from '../fields.js';
import { file } from '../l7/patterns.js';
import { name } from '../name-fields.js';
import { publicKey } from '../public-key.js';

const ENDPOINT_EXPECTED = 'the URL of an etcd server without a path, "https://10.0.0.5:2379"';
const ENDPOINTS_EXPECTED = `a list of URLs of etcd servers, 1 to ${FLEET_ENDPOINTS_MAX}`;

export const fleet = z
  .strictObject(
    {
      name: name.describe('Name of the fleet: all that it has in the store is below /anyhop/NAME/.'),
      endpoints: z
        .array(text(ENDPOINT_EXPECTED, /^https?:\/\/(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$/), {
          error: ENDPOINTS_EXPECTED,
        })
        .min(1, { error: ENDPOINTS_EXPECTED })
        .max(FLEET_ENDPOINTS_MAX, { error: ENDPOINTS_EXPECTED })
        .describe('The etcd servers of the store, as URLs: all https, or all http.'),
      ca_file: file
        .optional()
        .describe('File with the certificates of those who sign the certificates of the etcd servers.'),
      certificate: file
        .optional()
        .describe(
          'File with certificate, chain and private key of this host. Its common name is the user of etcd, where etcd has users.',
        ),
      operator_key: publicKey('the public key that `anyhop fleet init` prints').describe(
        'Public key of the operator. A revision of the config that this key has not signed is refused.',
      ),
      views: choice(['own', 'quorum'])
        .default('own')
        .describe(
          'Whose view of the backends a node goes by: `own`, its own checks; `quorum`, what more than half of the nodes see.',
        ),
    },
    { error: 'a mapping {name: ..., endpoints: [...], operator_key: ...}' },
  )
  .describe('The fleet that this host is in: its config comes from a store, and changes everywhere at once.');
