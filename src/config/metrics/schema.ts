/** The schema of the sections `metrics`: where a process answers Prometheus and browsers, and whom. One shape for every process. */
import * as z from 'zod';
import { METRICS_USER_CHARS_MAX, NODE_METRICS_PORT_DEFAULT, SIBLINGS_MAX } from '../../core/limits.js';
import { endpointOf } from '../endpoint.js';
import { text } from '../fields.js';
import { file } from '../l7/patterns.js';
import { name } from '../name-fields.js';

const USER_EXPECTED = `a user name of letters, digits, ".", "_" and "-", ${METRICS_USER_CHARS_MAX} characters at most`;

/** @param port of the process */
export function metrics(port: number) {
  return z
    .strictObject(
      {
        listen: endpointOf(port)
          .prefault(`127.0.0.1:${port}`)
          .describe(
            'Address and port that answer. On an address that is not of the loopback, set certificate and ca_file or user too.',
          ),
        certificate: file
          .optional()
          .describe('File with certificate, chain and private key: answers over TLS. Default: plain HTTP.'),
        ca_file: file
          .optional()
          .describe(
            'File with the certificates of those who sign the certificates of clients: only clients with one are answered.',
          ),
        user: text(USER_EXPECTED, new RegExp(`^[A-Za-z0-9._-]{1,${METRICS_USER_CHARS_MAX}}$`))
          .optional()
          .describe('User name that clients must give (HTTP basic authentication), with password_file.'),
        password_file: file.optional().describe('File with the password of user, in its first line.'),
      },
      { error: `a mapping {listen: "127.0.0.1:${port}"}` },
    )
    .describe('Metrics over HTTP. Default: none.');
}

export const siblings = z
  .array(
    z
      .strictObject(
        {
          name: name.describe('Its node.name.'),
          address: endpointOf(NODE_METRICS_PORT_DEFAULT).describe(
            `Its node.metrics.listen, and the port if it is not ${NODE_METRICS_PORT_DEFAULT}.`,
          ),
        },
        { error: `a mapping {name: edge-2, address: "10.0.0.2:${NODE_METRICS_PORT_DEFAULT}"}` },
      )
      .describe('Another forwarder.'),
    { error: 'a list of {name: ..., address: ...}' },
  )
  .meta({ maxItems: SIBLINGS_MAX })
  .optional()
  .describe(
    'The other forwarders of the fleet, which the dashboard, and a node without the store of its fleet, ask over TLS with the files of metrics. The node itself may be among them.',
  );
