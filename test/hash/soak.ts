/** Statistics and attacks on the flow hash and on its yardstick at full size, from ANYHOP_SEED or a new seed. */
import { seedOfRun } from '../differential/random.js';
import { checkAvalanche, checkDifferences, checkSignatures, checkSlots, type Sizes } from './checks.js';
import { FLOW_HASH, HALF_SIP } from './subjects.js';

const SIZES: Sizes = { samples: 2 ** 18, keys: 12, bits: 10, clients: 65_536 };

const seed = seedOfRun();
console.log(`soak: statistics of hashes, and attacks on them, seed ${seed}`);
for (const check of [checkAvalanche, checkSlots, checkDifferences, checkSignatures]) {
  for (const subject of [FLOW_HASH, HALF_SIP]) {
    const { text, isGood } = check(subject, SIZES, seed);
    console.log(`hash: ${subject.name}: ${text}${isGood ? '' : ': TOO MUCH'}`);
    if (!isGood) process.exitCode = 1;
  }
}
