/**
 * The xdp engine under load for as long as one has time: SOAK_ROUNDS (10) rounds of 1000 publishes and 20 kills, each on a
 * link of its own. Says of every round what became of its packets, and fails when one was lost, misdirected or miscounted.
 */
import { missingForIsolation } from '../isolation.js';
import { publishAndKill, requireAll, requireCounted, told, withLoad } from './survive.js';

const PUBLISHES = 1000;
const KILLS = 20;

const rounds = Number(process.env['SOAK_ROUNDS'] ?? 10);
const missing = missingForIsolation('ethtool');
if (missing !== false) console.log(`xdp under load: SKIPPED, ${missing}`);
for (let round = 1; missing === false && round <= rounds; round++) {
  await withLoad(async (node) => {
    await publishAndKill(node, { publishes: PUBLISHES, kills: KILLS });
    const { verdict, counted } = await node.finish();
    console.log(
      `xdp under load: round ${round} of ${rounds}, ${PUBLISHES} publishes, ${KILLS} kills; ${told(verdict)}`,
    );
    requireAll(verdict, node);
    requireCounted(verdict, counted);
  });
}
