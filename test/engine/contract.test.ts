/** Every engine keeps the same contract: one line each. */
import { missingForIsolation } from '../isolation.js';
import { engineContract } from './contract.js';
import { type InterfaceEngine, openInterfaceBench } from './interface-bench.js';
import { replay } from './replay-bench.js';

engineContract(replay);
onInterface({ name: 'portable', sends: 'packet', broken: 'broken-capture.js', flood: 'is too much' });
onInterface({ name: 'af_xdp', sends: 'frame', broken: 'broken-worker.js', flood: 'meets a halted process' });
onInterface({ name: 'xdp', sends: 'frame', broken: 'broken-pin.js', flood: 'is taken' });

function onInterface(engine: InterfaceEngine): void {
  engineContract({
    ...engine,
    skip: missingForIsolation('nft', 'ethtool', 'ping'),
    onInterface: true,
    canMiss: engine.flood !== 'is taken',
    open: () => openInterfaceBench(engine),
  });
}
