/** @file Starting values of parameters, drawn by name so that adding one changes no other. */

import { hash, uniform } from '../dropbp/random.ts';
import type { Initialiser } from '../runtime/program.ts';

/** `count` numbers, from number `from` of the parameter on; normal ones by Box–Muller. */
export function initialValues(init: Initialiser, count: number, name: string, seed: number, from = 0): Float32Array {
  const out = new Float32Array(count);
  if (init.kind === 'constant') return out.fill(init.value);
  const key = hash(seed, 4, ...Array.from(name, (c) => c.codePointAt(0) ?? 0));
  for (let i = 0; i < count; i++) {
    const u = uniform(key, from + i, 0);
    out[i] =
      init.kind === 'uniform' ? (2 * u - 1) * init.bound : init.std * Math.sqrt(-2 * Math.log(1 - u)) * Math.cos(2 * Math.PI * uniform(key, from + i, 1));
  }
  return out;
}
