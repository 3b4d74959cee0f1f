/** `anyhop schema`: the JSON Schema of the config file, for editors and for checks before a roll-out. */
import { Command } from 'commander';
import { configJsonSchema } from '../config/schema.js';
import { writeOut } from './output.js';

export function schemaCommand(): Command {
  return new Command('schema')
    .description('print the JSON Schema (draft 2020-12) of the config file')
    .addHelpText(
      'after',
      `
Editors with a YAML language server complete and check the file once they know the schema:

  anyhop schema > /etc/anyhop/schema.json
  # and as the first line of /etc/anyhop/anyhop.yaml:
  # yaml-language-server: $schema=/etc/anyhop/schema.json

The schema knows types, ranges and names. What takes two fields to judge (overlapping ports, unknown pools)
only \`anyhop check\` tells.`,
    )
    .action(() => {
      writeOut(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
    });
}
