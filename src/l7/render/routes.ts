/** The compiled routes of a frontend as lines and map files. What src/l7/routes composes is checked once more, word by word and line by line. */
import type { L7Frontend } from '../../config/l7/types.js';
import { compileRoutes } from '../routes/compile.js';
import { mapFiles } from '../routes/maps.js';
import { routeRules } from '../routes/rules.js';
import { line, list, ruleWord } from './line.js';
import { fileIn } from './names.js';
import type { RenderedLine } from './rendering.js';

/** Key, a space, value. HAProxy takes a line that begins with `#` for a comment. */
const MAP_LINE = /^[!"$-~][!-~]* [!-~]+$/;

export interface RenderedRoutes {
  readonly lines: readonly RenderedLine[];
  readonly files: readonly (readonly [string, string])[];
}

/** @throws RouteLimitError when the routes multiply too much */
export function renderRoutes({ name, routes }: L7Frontend, directory: string): RenderedRoutes {
  const compiled = compileRoutes(routes);
  const folder = `maps/${name}`;
  const at = ['l7', 'frontends', name, 'routes'];
  return {
    lines: routeRules(compiled, fileIn(directory, folder).text).map(
      ({ words, route }) => line(route === undefined ? at : [...at, route])`  ${list(words.map(ruleWord))}`,
    ),
    files: [...mapFiles(compiled)].map(([file, text]) => [`${folder}/${file}`, checked(text)]),
  };
}

function checked(map: string): string {
  for (const entry of map.split('\n').slice(0, -1))
    if (!MAP_LINE.test(entry)) throw new RangeError(`not fit for a map file: ${JSON.stringify(entry)}`);
  return map;
}
