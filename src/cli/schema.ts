/** `anyhop schema`: prints the JSON Schema of the config file, for editors and for checks before a roll-out. */
import { Command } from 'commander';
import { configJsonSchema } from '../config/schema.js';
import { writeOut } from './output.js';

export function schemaCommand(): Command {
  return new Command('schema')
    .description('print the JSON Schema (draft 2020-12) of the config file')
    .addHelpText(
      'after',
      `
With the schema, editors that use a YAML language server complete and check the file:

  anyhop schema > /etc/anyhop/schema.json
  # and as the first line of /etc/anyhop/anyhop.yaml:
  # yaml-language-server: $schema=/etc/anyhop/schema.json

The schema has types, ranges and names. Rules over several fields (overlapping ports, unknown pools) are only in
\`anyhop check\`.`,
    )
    .action(() => {
      writeOut(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
    });
}
