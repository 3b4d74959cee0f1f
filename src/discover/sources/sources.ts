/** The source of a pool, by its config. */
import type { BackendsFrom } from '../../config/types.js';
import type { Source } from '../answer.js';
import { consulSource } from './consul.js';
import { dnsSrvSource } from './dns-srv.js';
import { fileSource } from './file.js';
import { httpSource } from './http.js';
import { kubernetesSource } from './kubernetes.js';

export function sourceOf({ file, dnsSrv, http, consul, kubernetes }: BackendsFrom): Source {
  if (file !== undefined) return fileSource(file);
  if (dnsSrv !== undefined) return dnsSrvSource(dnsSrv.name, dnsSrv.server);
  if (http !== undefined) return httpSource(http);
  if (consul !== undefined) return consulSource(consul);
  if (kubernetes !== undefined) return kubernetesSource(kubernetes);
  throw new RangeError('backends_from without a source'); // rules refuse it
}
