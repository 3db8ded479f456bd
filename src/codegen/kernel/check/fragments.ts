/** @file Checks fragments: their types, and where they are loaded from and stored to. */

import type { FragmentStmt, FragmentType, KType } from '../ir.ts';

/** A name in scope, as far as fragments go. */
export interface FragmentName {
  readonly kind: string;
  readonly type: KType;
  readonly fragment?: FragmentType | undefined;
}

export function fragmentText({ role, scalar, rows, cols }: FragmentType): string {
  return `${role}<${scalar}, ${rows} × ${cols}>`;
}

/** Everything that is wrong with a statement on fragments. @param find finds a name in scope */
export function fragmentProblems(stmt: FragmentStmt, find: (name: string) => FragmentName | undefined): string[] {
  const fragment = (name: string): FragmentType | undefined => find(name)?.fragment;
  const memory = (array: string, type: FragmentType, stride: number, line: number): string[] => {
    const entry = find(array);
    if (entry?.kind !== 'shared') return [`${array} is no workgroup memory, where fragments come from and go`];
    return [
      ...(entry.type === type.scalar ? [] : [`${array} is ${entry.type}, used for ${fragmentText(type)}`]),
      ...(Number.isInteger(stride) && stride >= line ? [] : [`a stride of ${stride} for lines of ${line} in ${array}`]),
    ];
  };
  switch (stmt.kind) {
    case 'fragment':
      return [];
    case 'loadFragment':
      return [
        ...(stmt.type.role === 'result' ? [`${stmt.name} is loaded as a result`] : []),
        ...memory(stmt.array, stmt.type, stmt.stride, stmt.by === 'rows' ? stmt.type.cols : stmt.type.rows),
      ];
    case 'storeFragment': {
      const type = fragment(stmt.value);
      return type ? memory(stmt.array, type, stmt.stride, type.cols) : [`${stmt.value} is no fragment in scope`];
    }
    case 'multiplyFragments': {
      const [result, left, right] = [stmt.result, stmt.left, stmt.right].map(fragment);
      if (!result || !left || !right) return [`${[stmt.result, stmt.left, stmt.right].filter((name) => !fragment(name)).join(', ')} is no fragment in scope`];
      const roles = result.role === 'result' && left.role === 'left' && right.role === 'right';
      const sizes = left.cols === right.rows && result.rows === left.rows && result.cols === right.cols;
      return roles && sizes && left.scalar === right.scalar ? [] : [`${fragmentText(result)} += ${fragmentText(left)} × ${fragmentText(right)}`];
    }
  }
}
