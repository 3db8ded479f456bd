import { mish } from '../src/trace/mish.ts';
import { checkAddedOp } from '../test/adding/support.ts';

checkAddedOp('mish', (x) => mish(x));
