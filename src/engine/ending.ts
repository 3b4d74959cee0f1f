/** How an engine's `finished` settles. Nobody has to await it: what broke the engine is for those who do. */
import { type Deferred, deferred } from '../core/deferred.js';

export function ending(): Deferred<void> {
  const end = deferred<void>();
  end.promise.catch(() => undefined);
  return end;
}
