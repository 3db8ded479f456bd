import { roll } from '../src/index.ts';
import { checkAddedOp } from '../test/adding/support.ts';

checkAddedOp('roll', (x) => roll(x, 1, 2));
