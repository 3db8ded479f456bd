/** @file Which products of matrices a kernel has subgroups do. */

import { invariant } from '../../../errors.ts';
import type { MatrixProduct } from '../../../runtime/matrices.ts';
import type { FragmentType, Kernel } from '../ir.ts';
import { everyStmt } from '../visit.ts';

/** The products of a kernel's fragments, one for each place where some are multiplied. */
export function matrixProducts({ body }: Kernel): readonly MatrixProduct[] {
  const types = new Map<string, FragmentType>();
  const products: MatrixProduct[] = [];
  everyStmt(body, (stmt) => {
    if (stmt.kind === 'fragment' || stmt.kind === 'loadFragment') types.set(stmt.name, stmt.type);
    if (stmt.kind !== 'multiplyFragments') return;
    const [left, right] = [types.get(stmt.left), types.get(stmt.right)];
    invariant(left && right, `${stmt.left} × ${stmt.right} are no fragments`);
    products.push({ m: left.rows, n: right.cols, k: left.cols, input: left.scalar });
  });
  return products;
}
