/** Makes what the engine xdp has pinned look as another version left it. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { About } from '#anyhop/engine/xdp/about.js';
import { MappedArray } from '#anyhop/ffi/map.js';

export function forgeAbout(bpffs: string, change: Partial<About>): void {
  const files = readdirSync(bpffs, { recursive: true }).map(String);
  for (const file of files.filter((name) => name.endsWith('/about'))) {
    const map = MappedArray.pinned(join(bpffs, file));
    const bytes = Buffer.from(map.memory);
    const about: About = JSON.parse(bytes.toString('utf8', 0, bytes.indexOf(0)));
    bytes.fill(0).write(JSON.stringify({ ...about, ...change }));
    map.close();
  }
}
