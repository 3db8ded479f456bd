/**
 * @file Finds branches that depend on a traced value. A model is traced once, before any number is known, so an `if` on a tensor would always
 * go the same way. A branch on whether an optional tensor is given at all is allowed.
 */

import type { Node, SourceFile, SyntaxKind, Type } from 'ts-morph';
import type { Diagnostic } from './diagnostic.ts';
import type { Morph } from './project.ts';

/** Whether a type is that of a traced tensor: the IR's `Value`, which is told by its name and its properties. */
function isTensor(type: Type): boolean {
  const symbol = type.getAliasSymbol()?.getName() === 'Tensor' ? type.getAliasSymbol() : type.getSymbol();
  if (symbol?.getName() !== 'Value' && symbol?.getName() !== 'Tensor') return false;
  return ['name', 'type'].every((property) => type.getProperty(property) !== undefined);
}

/** A statement or operator that branches, and its condition. */
interface Branch {
  readonly condition: Node;
  /** The statement or operator for the message: `if`, `?:`, `&&`. */
  readonly what: string;
}

/** The operators that compare by order. */
const orders = ({ SyntaxKind }: Morph): SyntaxKind[] => [
  SyntaxKind.LessThanToken,
  SyntaxKind.LessThanEqualsToken,
  SyntaxKind.GreaterThanToken,
  SyntaxKind.GreaterThanEqualsToken,
];

/** Every branch of a file. */
function branchesOf(morph: Morph, file: SourceFile): Branch[] {
  const { Node, SyntaxKind } = morph;
  return file.getDescendants().flatMap((node): Branch[] => {
    if (Node.isIfStatement(node)) return [{ condition: node.getExpression(), what: 'if' }];
    if (Node.isWhileStatement(node) || Node.isDoStatement(node)) return [{ condition: node.getExpression(), what: 'while' }];
    if (Node.isSwitchStatement(node)) return [{ condition: node.getExpression(), what: 'switch' }];
    if (Node.isConditionalExpression(node)) return [{ condition: node.getCondition(), what: '?:' }];
    if (Node.isForStatement(node)) {
      const condition = node.getCondition();
      return condition ? [{ condition, what: 'for' }] : [];
    }
    if (Node.isBinaryExpression(node)) {
      const operator = node.getOperatorToken();
      const kind = operator.getKind();
      if (kind === SyntaxKind.AmpersandAmpersandToken || kind === SyntaxKind.BarBarToken) return [{ condition: node.getLeft(), what: operator.getText() }];
      // two tensors have no order before their numbers are known, wherever the answer is used
      if (orders(morph).includes(kind)) return [{ condition: node, what: operator.getText() }];
    }
    if (Node.isPrefixUnaryExpression(node) && node.getOperatorToken() === SyntaxKind.ExclamationToken) return [{ condition: node.getOperand(), what: '!' }];
    if (Node.isCallExpression(node) && node.getExpression().getText() === 'Boolean')
      return node.getArguments().map((condition) => ({ condition, what: 'Boolean()' }));
    return [];
  });
}

/** The expressions of a condition that would need the numbers of tensors. */
function readsNumbers(morph: Morph, condition: Node): Node[] {
  const { Node, SyntaxKind } = morph;
  if (Node.isParenthesizedExpression(condition)) return readsNumbers(morph, condition.getExpression());
  if (Node.isPrefixUnaryExpression(condition) && condition.getOperatorToken() === SyntaxKind.ExclamationToken)
    return readsNumbers(morph, condition.getOperand());
  if (Node.isBinaryExpression(condition)) {
    const [left, right] = [condition.getLeft(), condition.getRight()];
    const operator = condition.getOperatorToken().getKind();
    // branchesOf lists the left side as a branch of its own
    if (operator === SyntaxKind.AmpersandAmpersandToken || operator === SyntaxKind.BarBarToken) return readsNumbers(morph, right);
    const compares = [
      SyntaxKind.EqualsEqualsEqualsToken,
      SyntaxKind.ExclamationEqualsEqualsToken,
      SyntaxKind.EqualsEqualsToken,
      SyntaxKind.ExclamationEqualsToken,
      ...orders(morph),
    ].includes(operator);
    return compares && isTensor(left.getType()) && isTensor(right.getType()) ? [condition] : [];
  }
  // the type of an optional tensor `x?: Tensor` is not Tensor alone, so `if (x)` passes here
  return isTensor(condition.getType()) ? [condition] : [];
}

/** Returns one diagnostic for each expression in the definition's files by which a branch depends on the numbers of a tensor. */
export function tracedBranches(morph: Morph, files: readonly SourceFile[]): Diagnostic[] {
  const seen = new Set<Node>();
  return files.flatMap((file) =>
    branchesOf(morph, file).flatMap(({ condition, what }) =>
      readsNumbers(morph, condition).flatMap((node): Diagnostic[] => {
        if (seen.has(node)) return [];
        seen.add(node);
        const { line, column } = file.getLineAndColumnAtPos(node.getStart());
        const message = `a branch that depends on a traced value: ${what} asks for \`${node.getText()}\`, a ${tensorText(node)}; its numbers are known when a step runs, not when the model is traced. Use select(condition, yes, no), or branch on a number of the definition`;
        return [{ path: file.getFilePath(), line, column, message }];
      }),
    ),
  );
}

function tensorText(node: Node): string {
  return isTensor(node.getType()) ? 'Tensor' : 'comparison of two Tensors';
}
