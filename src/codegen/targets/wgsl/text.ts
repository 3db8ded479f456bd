/** @file A kernel as people read it: what it binds, how it is launched, and its statements. `ebb inspect --stage kernel` prints it. */

import type { GridAxis, Kernel } from '../../kernel/ir.ts';
import { printBody } from './print.ts';

function axisText({ of, per }: GridAxis): string {
  const product = of.join('*') || '1';
  return per === 1 ? product : `ceil(${product}/${per})`;
}

export function kernelText(kernel: Kernel): string {
  const { name, workgroup, grid, buffers, shared, uses } = kernel;
  const features = [...(uses.subgroups ? ['subgroups'] : []), ...(uses.f16 ? ['f16'] : []), ...(uses.matrices ? ['matrices'] : [])];
  return [
    `kernel @${name} {workgroup = [${workgroup.join(', ')}], grid = [${grid.map(axisText).join(', ')}]${features.length > 0 ? `, uses = [${features.join(', ')}]` : ''}} {`,
    ...buffers.map((b) => `  buffer ${b.access} ${b.name}: ${b.element}[]`),
    ...shared.map((s) => `  shared ${s.name}: ${s.type}[${s.length}]`),
    ...printBody(kernel.body, '  '),
    '}',
  ].join('\n');
}
