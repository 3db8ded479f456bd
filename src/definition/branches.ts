/**
 * @file Branches that depend on a traced value. A model is traced once, before any number is known: an `if` on a tensor would always go
 * one way. Asking whether an optional tensor is there at all is fine.
 */

import type { Node, SourceFile, SyntaxKind, Type } from 'ts-morph';
import type { Diagnostic } from './diagnostic.ts';
import type { Morph } from './project.ts';

/** A traced tensor: the IR's value type, which nothing else looks like. */
function isTensor(type: Type): boolean {
  const symbol = type.getAliasSymbol()?.getName() === 'Tensor' ? type.getAliasSymbol() : type.getSymbol();
  if (symbol?.getName() !== 'Value' && symbol?.getName() !== 'Tensor') return false;
  return ['name', 'type'].every((property) => type.getProperty(property) !== undefined);
}

/** The statement or operator that branches, and what it asks. */
interface Question {
  readonly condition: Node;
  readonly what: string;
}

const orders = ({ SyntaxKind }: Morph): SyntaxKind[] => [
  SyntaxKind.LessThanToken,
  SyntaxKind.LessThanEqualsToken,
  SyntaxKind.GreaterThanToken,
  SyntaxKind.GreaterThanEqualsToken,
];

function questions(morph: Morph, file: SourceFile): Question[] {
  const { Node, SyntaxKind } = morph;
  return file.getDescendants().flatMap((node): Question[] => {
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
      // two tensors have no order before their numbers are known, whatever is made of the answer
      if (orders(morph).includes(kind)) return [{ condition: node, what: operator.getText() }];
    }
    if (Node.isPrefixUnaryExpression(node) && node.getOperatorToken() === SyntaxKind.ExclamationToken) return [{ condition: node.getOperand(), what: '!' }];
    if (Node.isCallExpression(node) && node.getExpression().getText() === 'Boolean')
      return node.getArguments().map((condition) => ({ condition, what: 'Boolean()' }));
    return [];
  });
}

/** The tensors whose numbers a condition would have to know, by the expressions that are them. */
function asked(morph: Morph, condition: Node): Node[] {
  const { Node, SyntaxKind } = morph;
  if (Node.isParenthesizedExpression(condition)) return asked(morph, condition.getExpression());
  if (Node.isPrefixUnaryExpression(condition) && condition.getOperatorToken() === SyntaxKind.ExclamationToken) return asked(morph, condition.getOperand());
  if (Node.isBinaryExpression(condition)) {
    const [left, right] = [condition.getLeft(), condition.getRight()];
    const operator = condition.getOperatorToken().getKind();
    // the left side is a question of its own
    if (operator === SyntaxKind.AmpersandAmpersandToken || operator === SyntaxKind.BarBarToken) return asked(morph, right);
    const compares = [
      SyntaxKind.EqualsEqualsEqualsToken,
      SyntaxKind.ExclamationEqualsEqualsToken,
      SyntaxKind.EqualsEqualsToken,
      SyntaxKind.ExclamationEqualsToken,
      ...orders(morph),
    ].includes(operator);
    return compares && isTensor(left.getType()) && isTensor(right.getType()) ? [condition] : [];
  }
  // `x?: Tensor` may be asked for its presence: its type says so
  return isTensor(condition.getType()) ? [condition] : [];
}

/** One diagnostic for each branch in the definition's files whose condition is a tensor. */
export function tracedBranches(morph: Morph, files: readonly SourceFile[]): Diagnostic[] {
  const seen = new Set<Node>();
  return files.flatMap((file) =>
    questions(morph, file).flatMap(({ condition, what }) =>
      asked(morph, condition).flatMap((node): Diagnostic[] => {
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
