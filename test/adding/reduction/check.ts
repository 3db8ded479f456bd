import { min } from '../src/index.ts';
import { checkAddedOp } from '../test/adding/support.ts';

checkAddedOp('reduce_min', (x) => min(x, [1]));
