import { softsign } from '../src/index.ts';
import { checkAddedOp } from '../test/adding/support.ts';

checkAddedOp('softsign', (x) => softsign(x));
