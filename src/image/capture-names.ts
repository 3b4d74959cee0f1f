/** What the numbers in a capture's records mean, by the image that decides: a running node's, or one that a process left in pins. */
import { type CaptureNames, type NamedBackend, UNKNOWN } from '../capture/record.js';
import { imageBackends, imageCounterNames, imageServices } from './inspect.js';
import type { Image } from './read.js';

export function captureNames(image: Image): CaptureNames {
  const names = imageCounterNames(image);
  const paths = imageBackends(image);
  const ids = new Map(paths.map(({ counter, id }) => [counter, id]));
  const backends = names.backends.map((name, number): NamedBackend => {
    const slash = name.indexOf('/');
    return { pool: name.slice(0, slash), name: name.slice(slash + 1), number, id: ids.get(number) ?? 0 };
  });
  return {
    generation: image.generation,
    services: imageServices(image).map(({ counter, vip, protocol, portFirst, portLast, backendFirst }) => ({
      name: names.services[counter],
      number: counter,
      vip: vip.text,
      protocol,
      portFirst,
      portLast,
      // A pool's backends stand together in an image.
      pool: backends[paths[backendFirst]?.counter ?? UNKNOWN]?.pool ?? '',
    })),
    backends,
  };
}
