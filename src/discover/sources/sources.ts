/** The source of a pool or an upstream, by its config. */
import type { GroupKind } from '../../config/discover/kinds.js';
import type { BackendsFrom, ServersFrom } from '../../config/discover/types.js';
import type { Source } from '../answer.js';
import type { Reading } from '../reading.js';
import { consulSource } from './consul.js';
import { dnsSrvSource } from './dns-srv.js';
import { fileSource } from './file.js';
import { httpSource } from './http.js';
import { kubernetesSource } from './kubernetes.js';

export function sourceOf(kind: GroupKind, from: BackendsFrom | ServersFrom): Source {
  const { file, dnsSrv, http, consul, kubernetes } = from;
  const reading: Reading = { kind, port: 'port' in from ? from.port : undefined };
  if (file !== undefined) return fileSource(file, reading);
  if (dnsSrv !== undefined) return dnsSrvSource(dnsSrv.name, dnsSrv.server, reading);
  if (http !== undefined) return httpSource(http, reading);
  if (consul !== undefined) return consulSource(consul, reading);
  if (kubernetes !== undefined) return kubernetesSource({ port: undefined, ...kubernetes }, reading);
  throw new RangeError('a group without a source'); // rules refuse it
}
