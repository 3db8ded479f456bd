/** @file Runs what the target prints, on the interpreter of the kernel IR: in the place of an assembler. */

import { at, EbbError } from '../../../errors.ts';
import type { KernelModule } from '../../../runtime/device.ts';
import type { Groups, RunKernel } from '../../../runtime/wat/device.ts';
import type { Data } from '../../kernel/interpret/context.ts';
import { interpret } from '../../kernel/interpret/kernel.ts';
import { type GridAxis, type Kernel, type KScalar, scalarOf } from '../../kernel/ir.ts';

/** The words of a module: parentheses, texts in quotes, and all else up to a space. */
const wordsOf = (code: string): readonly string[] => code.replace(/;;.*$/gm, '').match(/[()]|"[^"]*"|[^\s()"]+/g) ?? [];

/** The value that `print` wrote. */
function read(code: string): unknown {
  const words = wordsOf(code);
  let next = 0;
  const items = (): unknown[] => {
    const found: unknown[] = [];
    while (at(words, next) !== ')') found.push(value());
    next++;
    return found;
  };
  const fields = (): object => {
    const found: Record<string, unknown> = {};
    while (at(words, next) !== ')') found[at(words, next++)] = value();
    next++;
    return found;
  };
  const value = (): unknown => {
    const word = at(words, next++);
    if (word === '(') return at(words, next++) === 'list' ? items() : fields();
    return word.startsWith('"') ? word.slice(1, -1) : Number(word);
  };
  return value();
}

const VIEWS: Readonly<Partial<Record<KScalar, (bytes: Uint8Array<ArrayBuffer>) => Data>>> = {
  f32: ({ buffer, byteOffset, byteLength }) => new Float32Array(buffer, byteOffset, byteLength / 4),
  u32: ({ buffer, byteOffset, byteLength }) => new Uint32Array(buffer, byteOffset, byteLength / 4),
  i32: ({ buffer, byteOffset, byteLength }) => new Int32Array(buffer, byteOffset, byteLength / 4),
};

const axisOf = (count: number): GridAxis => ({ of: [count], per: 1 });
const gridOf = ([x, y, z]: Groups): Kernel['grid'] => [axisOf(x), axisOf(y), axisOf(z)];

/** What runs a module. @throws EbbError for a kernel with a buffer that the interpreter has no numbers for */
export function watKernel({ name, code }: KernelModule): RunKernel {
  const kernel = { ...(read(code) as Omit<Kernel, 'grid' | 'uses'>), uses: {} };
  const views = kernel.buffers.map((buffer) => {
    const view = VIEWS[scalarOf(buffer.element)];
    if (!view) throw new EbbError(`kernel ${name}: buffer ${buffer.name} is of ${buffer.element}, which this device does not read`);
    return { buffer: buffer.name, view };
  });
  return (block, ranges, groups) => {
    const buffers = Object.fromEntries(views.map(({ buffer, view }, i) => [buffer, view(at(ranges, i))]));
    interpret({ ...kernel, grid: gridOf(groups) }, { params: block, buffers });
  };
}
