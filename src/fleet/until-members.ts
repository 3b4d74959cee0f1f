/** Waits for members, by what they say of themselves in the store. */
import { MEMBERS, NODES } from './places.js';
import { NAMES_SHOWN_MAX, refused } from './refused.js';
import type { Snapshot, Store } from './store.js';
import { type MemberView, membersOf } from './view.js';

const READ_MS = 2_000;

interface Missing {
  readonly missing: readonly string[];
  /** It may take any time. */
  readonly forEver?: boolean;
}

/** Resolves when `look` finds nothing missing. @throws AnyhopError ERR_FLEET, which says what is missing, after `mostMs` */
export function until(
  store: Store,
  signal: AbortSignal,
  mostMs: number,
  look: (members: readonly MemberView[]) => Missing | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let listedNow: Snapshot | undefined;
    let nodesNow: Snapshot | undefined;
    let missing: readonly string[] = ['the store has not answered'];
    let timer: NodeJS.Timeout | undefined;
    const arm = (): void => {
      timer ??= setTimeout(() => {
        end(() =>
          reject(
            refused(
              `${missing.slice(0, NAMES_SHOWN_MAX).join('; ')}; nothing was changed`,
              '`anyhop fleet status` shows every member.',
            ),
          ),
        );
      }, mostMs);
    };
    const seen = (): void => {
      if (listedNow === undefined || nodesNow === undefined) return;
      try {
        const left = look(membersOf(listedNow, nodesNow));
        if (left === undefined) {
          end(resolve);
          return;
        }
        missing = left.missing;
        if (left.forEver) {
          clearTimeout(timer);
          timer = undefined;
        } else arm();
      } catch (error) {
        end(() => reject(error));
      }
    };
    const stops = [
      store.follow(MEMBERS, READ_MS, (snapshot) => {
        listedNow = snapshot;
        seen();
      }),
      store.follow(NODES, READ_MS, (snapshot) => {
        nodesNow = snapshot;
        seen();
      }),
    ];
    const aborted = (): void => end(() => reject(refused('interrupted', 'Nothing was changed.')));
    signal.addEventListener('abort', aborted);
    arm();
    function end(then: () => void): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', aborted);
      for (const stop of stops) stop();
      then();
    }
  });
}
