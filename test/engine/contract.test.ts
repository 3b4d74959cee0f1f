/** Every engine keeps the same contract: one line each. */
import { isolationObstacle } from '../isolation.js';
import { engineContract } from './contract.js';
import { openInterfaceBench } from './interface-bench.js';
import { replay } from './replay-bench.js';

engineContract(replay);
engineContract({
  name: 'portable',
  skip: isolationObstacle('nft', 'ethtool', 'ping'),
  sends: 'packet',
  onInterface: true,
  open: () => openInterfaceBench('portable', 'packet'),
});
