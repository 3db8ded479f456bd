/**
 * @file Adds calls to a definition before it runs: `const q = project(x)` becomes `const q = __ebb.end('q', __ebb.begin('q'), project(x))`,
 * so that the value carries the name of the variable. Assignments, properties of objects and destructuring are treated alike.
 */

import type { ts as TS } from 'ts-morph';

type Ts = typeof TS;

/** The variable under which a running definition finds the functions of naming.ts. */
export const HOOKS = '__ebb';

/** Whether an expression makes a new value. A function keeps its own name, and a plain name is an alias of another value. */
function makesValues(ts: Ts, expression: TS.Expression): boolean {
  if (ts.isParenthesizedExpression(expression) || ts.isAsExpression(expression) || ts.isSatisfiesExpression(expression) || ts.isNonNullExpression(expression))
    return makesValues(ts, expression.expression);
  return (
    ts.isCallExpression(expression) ||
    ts.isConditionalExpression(expression) ||
    ts.isAwaitExpression(expression) ||
    ts.isBinaryExpression(expression) ||
    ts.isTaggedTemplateExpression(expression)
  );
}

/** The names in a destructuring pattern, by index for `[q, , k]` and by key for `{ q, key: k }`. */
function partNames(ts: Ts, pattern: TS.BindingPattern): Record<string, string> {
  const names = pattern.elements.flatMap((element, i): [string, string][] => {
    if (!ts.isBindingElement(element) || element.dotDotDotToken || !ts.isIdentifier(element.name)) return [];
    const { propertyName, name } = element;
    if (ts.isArrayBindingPattern(pattern)) return [[String(i), name.text]];
    if (!propertyName) return [[name.text, name.text]];
    return ts.isIdentifier(propertyName) ? [[propertyName.text, name.text]] : [];
  });
  return Object.fromEntries(names);
}

/** The name that an assignment gives: `q` for `q = …`, `this.q = …` and `cache.q = …`. */
function assignedName(ts: Ts, left: TS.Expression): string | undefined {
  if (ts.isIdentifier(left)) return left.text;
  return ts.isPropertyAccessExpression(left) && ts.isIdentifier(left.name) ? left.name.text : undefined;
}

/** Returns the TypeScript transformer that names the values of one file. */
export function nameValues(ts: Ts): TS.TransformerFactory<TS.SourceFile> {
  return (context) => {
    const { factory } = context;
    const hook = (name: string, args: readonly TS.Expression[]): TS.Expression =>
      factory.createCallExpression(factory.createPropertyAccessExpression(factory.createIdentifier(HOOKS), name), undefined, args);
    const wrapped = (name: string, expression: TS.Expression): TS.Expression => {
      const text = factory.createStringLiteral(name);
      return hook('end', [text, hook('begin', [text]), expression]);
    };
    const wrappedParts = (names: Readonly<Record<string, string>>, expression: TS.Expression): TS.Expression => {
      const table = factory.createObjectLiteralExpression(
        Object.entries(names).map(([key, name]) => factory.createPropertyAssignment(factory.createStringLiteral(key), factory.createStringLiteral(name))),
      );
      return hook('endEach', [table, hook('begin', [factory.createStringLiteral(Object.values(names).join(', '))]), expression]);
    };

    const visit = (node: TS.Node): TS.Node => {
      if (ts.isVariableDeclaration(node) && node.initializer && makesValues(ts, node.initializer)) {
        const inner = ts.visitNode(node.initializer, visit, ts.isExpression);
        const value = ts.isIdentifier(node.name) ? wrapped(node.name.text, inner) : wrappedParts(partNames(ts, node.name), inner);
        return factory.updateVariableDeclaration(node, node.name, node.exclamationToken, node.type, value);
      }
      if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.EqualsToken) {
        const right = ts.visitNode(node.right, visit, ts.isExpression);
        // a value that is assigned to a destructuring pattern stays as it is
        const name = assignedName(ts, node.left);
        const value = name !== undefined && makesValues(ts, node.right) ? wrapped(name, right) : right;
        return factory.updateBinaryExpression(node, node.left, node.operatorToken, value);
      }
      if (ts.isPropertyAssignment(node) && ts.isIdentifier(node.name) && makesValues(ts, node.initializer))
        return factory.updatePropertyAssignment(node, node.name, wrapped(node.name.text, ts.visitNode(node.initializer, visit, ts.isExpression)));
      if (ts.isPropertyDeclaration(node) && ts.isIdentifier(node.name) && node.initializer && makesValues(ts, node.initializer))
        return factory.updatePropertyDeclaration(
          node,
          node.modifiers,
          node.name,
          node.questionToken ?? node.exclamationToken,
          node.type,
          wrapped(node.name.text, ts.visitNode(node.initializer, visit, ts.isExpression)),
        );
      // the definition runs as a script, which has no import.meta, so it is handed in
      if (ts.isMetaProperty(node) && node.keywordToken === ts.SyntaxKind.ImportKeyword)
        return factory.createPropertyAccessExpression(factory.createIdentifier(HOOKS), 'meta');
      return ts.visitEachChild(node, visit, context);
    };
    return (file) => ts.visitEachChild(file, visit, context);
  };
}
