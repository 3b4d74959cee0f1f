// Removes what an earlier build made of sources that are gone: the compiler leaves it, so that a test that was renamed
// would go on running and a package would hold dead modules.
import { existsSync, readdirSync, rmSync } from 'node:fs';

/** scripts/bundle.mjs writes them, and removes its own. */
const BUNDLED = /^(?:main|part-[^/]*)\.js$/;
const OUTPUTS = { dist: 'src', 'build/test': 'test', 'build/bench': 'bench', 'build/scripts': 'scripts' };

for (const [output, source] of Object.entries(OUTPUTS)) {
  if (!existsSync(output)) continue;
  for (const file of readdirSync(output, { recursive: true })) {
    const [, name] = /^(.*?)(?:\.js|\.js\.map|\.d\.ts)$/.exec(file) ?? [];
    if (output === 'dist' && BUNDLED.test(file)) continue;
    if (name !== undefined && !existsSync(`${source}/${name}.ts`)) rmSync(`${output}/${file}`);
  }
}
