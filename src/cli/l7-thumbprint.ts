/** `anyhop l7 thumbprint`: what `l7.acme.thumbprint` of the config is for an ACME account. */
import { Command } from 'commander';
import { readSmallFile, UnreadableFile } from '../config/file.js';
import { quote } from '../config/path.js';
import { AnyhopError } from '../core/errors.js';
import { L7_CERTIFICATE_BYTES_MAX } from '../core/limits.js';
import { KeyFault, thumbprintOf } from '../l7/thumbprint.js';
import { writeOut } from './output.js';

export function l7ThumbprintCommand(): Command {
  return new Command('thumbprint')
    .summary('print the thumbprint of an ACME account key')
    .description(
      'Prints the JWK thumbprint (RFC 7638) of an ACME account, for l7.acme.thumbprint in the config: every proxy host then answers HTTP-01 ' +
        'challenges of this account.',
    )
    .argument('<file>', 'private or public key of the account in PEM: RSA or EC (P-256, P-384)')
    .addHelpText(
      'after',
      `
lego keeps the key in accounts/SERVER/EMAIL/keys/EMAIL.key of its directory.
Exit codes: 0 printed, 2 the file holds no such key.

Example:
  anyhop l7 thumbprint /var/lib/lego/accounts/acme-v02.api.letsencrypt.org/ops@example.com/keys/ops@example.com.key`,
    )
    .action((file: string) => {
      writeOut(`${thumbprint(file)}\n`);
    });
}

/** @throws AnyhopError ERR_USAGE */
function thumbprint(file: string): string {
  try {
    const { bytes } = readSmallFile(file, L7_CERTIFICATE_BYTES_MAX);
    return thumbprintOf(new TextDecoder().decode(bytes));
  } catch (error) {
    if (!(error instanceof UnreadableFile) && !(error instanceof KeyFault)) throw error;
    throw new AnyhopError('ERR_USAGE', `${quote(file)}: ${error.message}`);
  }
}
