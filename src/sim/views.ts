/** What simulated nodes see of the backends, and what each makes of what the others tell it (fleet/agreed.ts), if it hears them. */
import { Agreement, type HealthView } from '../fleet/agreed.js';
import { nodeName } from './event.js';

export class SimViews {
  /** By node: the backends that it sees down. */
  readonly #seen: readonly Set<string>[];
  /** Nodes that neither tell nor hear. */
  readonly cut = new Set<number>();

  constructor(nodes: number) {
    this.#seen = Array.from({ length: nodes }, () => new Set());
  }

  /** @param on all nodes when left out */
  see(backend: string, health: 'up' | 'down', on?: number): void {
    for (const seen of on === undefined ? this.#seen : [this.#seen[on]]) {
      if (health === 'down') seen.add(backend);
      else seen.delete(backend);
    }
  }

  /**
   * @param backends all that there are
   * @param isUp whether a node runs
   */
  agreedDown(node: number, backends: Iterable<string>, isUp: (node: number) => boolean): Set<string> {
    const others = this.#seen.flatMap((down, each): HealthView[] => {
      const isHeard = each !== node && isUp(each) && !this.cut.has(each) && !this.cut.has(node);
      return isHeard ? [{ node: nodeName(each), revision: 0, down }] : [];
    });
    const agreement = new Agreement(others);
    const own = this.#seen[node];
    return new Set([...backends].filter((name) => !agreement.of(name, 0, !own.has(name)).isUp));
  }
}
