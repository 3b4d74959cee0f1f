/** What HAProxy, this host or the compiler of routes refuses, as errors of the config file at the fields that caused them. */
import { ConfigError, type ConfigProblem } from '../config/error.js';
import type { L7Config } from '../config/l7/types.js';
import { formatPath } from '../config/path.js';
import type { LoadedConfig } from '../config/types.js';
import { HaproxyRefused } from './haproxy/haproxy.js';
import type { HaproxyProblem } from './haproxy/problems.js';
import { RouteLimitError } from './routes/budget.js';
import { compileRoutes } from './routes/compile.js';

type File = Pick<LoadedConfig<'l7'>, 'file' | 'placeOf'>;

/** The errors among them. */
export function locatedProblems(
  { file, placeOf }: File,
  problems: readonly HaproxyProblem[],
): ConfigProblem[] {
  return problems
    .filter(({ level }) => level === 'error')
    .map(({ at, message }) => ({
      file,
      ...(at.length === 0 ? { line: 0, column: 0 } : placeOf(at)),
      field: formatPath(at),
      message,
    }));
}

/** A ConfigError for what is the config's fault; any other error as it is. */
export function located(config: LoadedConfig<'l7'>, error: unknown): unknown {
  if (error instanceof HaproxyRefused) return new ConfigError(locatedProblems(config, error.problems));
  if (error instanceof RouteLimitError)
    return new ConfigError(locatedProblems(config, routeProblems(config.l7)));
  return error;
}

/** Of every frontend whose routes are too many when they are compiled. */
function routeProblems({ frontends }: L7Config): HaproxyProblem[] {
  return frontends.flatMap(({ name, routes }): HaproxyProblem[] => {
    try {
      compileRoutes(routes);
      return [];
    } catch (error) {
      if (!(error instanceof RouteLimitError)) throw error;
      const [first] = error.routes;
      const at = ['l7', 'frontends', name, 'routes', ...(first === undefined ? [] : [first])];
      return [{ level: 'error', at, message: error.message }];
    }
  });
}
