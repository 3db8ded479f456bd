/**
 * Writes docs/api/*.md, which list the exports of the package, from its sources. With `--check` it writes nothing, and fails where a page is
 * stale. Either way it fails where an export has no docstring.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ClassDeclaration, type ExportedDeclarations, type JSDoc, Node, Project, type SourceFile, TypeFormatFlags } from 'ts-morph';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');

const ENTRIES = [
  { name: 'ebb', file: 'src/index.ts', page: 'docs/api/ebb.md' },
  { name: 'ebb/runtime', file: 'src/runtime/index.ts', page: 'docs/api/runtime.md' },
  { name: 'ebb/trainer', file: 'src/trainer/index.ts', page: 'docs/api/trainer.md' },
] as const;

/** The headings of a page in their order, each with the rooms of `src/` whose exports stand under it. */
const GROUPS: readonly { readonly title: string; readonly rooms: readonly string[] }[] = [
  { title: 'Write and trace a model', rooms: ['trace'] },
  { title: 'Model definitions', rooms: ['definition'] },
  { title: 'Models of the library', rooms: ['models'] },
  { title: 'The IR', rooms: ['ir', 'passes', 'cost', 'codegen'] },
  { title: 'Compile', rooms: ['compile'] },
  { title: 'Whole models', rooms: ['session', 'generate', 'analyze', 'inspect', 'watch'] },
  { title: 'Generated trainers', rooms: ['trainer', 'run', 'terminal'] },
  { title: 'Train', rooms: ['train', 'dropbp'] },
  { title: 'Run', rooms: ['runtime', 'node'] },
  { title: 'Files', rooms: ['formats', 'tokenizer'] },
  { title: 'Errors', rooms: ['errors'] },
];

interface Entry {
  readonly name: string;
  readonly kind: string;
  /** Its path in the repository. */
  readonly file: string;
  readonly signature: string;
  /** Its docstring as Markdown. Empty where it has none. */
  readonly doc: string;
}

const pathOf = (file: SourceFile): string => relative(ROOT, file.getFilePath()).replaceAll('\\', '/');
const bareTypes = (text: string): string => text.replace(/import\("[^"]*"\)\./g, '');
/** The text of a node as it stands in the file, without the comment above it. */
const bare = (node: Node): string => node.getText().replace(/^(?:export|declare)\s+/, '');

function docsOf(node: Node): readonly JSDoc[] {
  if (Node.isVariableDeclaration(node)) return node.getVariableStatement()?.getJsDocs() ?? [];
  return Node.isJSDocable(node) ? node.getJsDocs() : [];
}

/** Writes a docstring as Markdown: its description, then parameters, results and errors. */
function docText(doc: JSDoc): string {
  const tags = doc.getTags().flatMap((tag) => {
    const text = (tag.getCommentText() ?? '').trim().replace(/\s*\n\s*/g, ' ');
    if (Node.isJSDocParameterTag(tag)) return [`- \`${tag.getName()}\`: ${text}`];
    if (tag.getTagName() === 'returns') return [`- Returns ${text}`];
    if (tag.getTagName() === 'example') return [`- For example \`${text}\``];
    return tag.getTagName() === 'throws' ? [`- Throws \`${text.replace(/^(\w+)/, '$1`')}${/^\w/.test(text) ? '' : '`'}`] : [];
  });
  return [doc.getDescription().trim(), tags.join('\n')].filter((part) => part !== '').join('\n\n');
}

/** Writes a class with its constructor, fields and methods, without bodies and private members. */
function classText(node: ClassDeclaration): string {
  const heritage = node.getExtends();
  const members = [...node.getConstructors(), ...node.getProperties(), ...node.getMethods()].flatMap((member) => {
    const text = Node.isPropertyDeclaration(member)
      ? member.getText()
      : member.getText().slice(0, (member.getBody()?.getStart() ?? member.getEnd()) - member.getStart());
    return /^(?:private|#)/.test(text)
      ? []
      : [
          `  ${text
            .replace(/^override /, '')
            .trim()
            .replace(/;$/, '')};`,
        ];
  });
  return `class ${node.getName() ?? ''}${heritage ? ` extends ${heritage.getText()}` : ''} {\n${members.join('\n')}\n}`;
}

/** The kind and the text of an export, or null for a kind of export that is not listed. */
function declaration(node: ExportedDeclarations): { kind: string; text: string } | null {
  if (Node.isFunctionDeclaration(node)) {
    const overloads = node.getOverloads();
    if (overloads.length > 0) return { kind: 'function', text: overloads.map(bare).join('\n') };
    const head = node.getText().slice(0, (node.getBody()?.getStart() ?? node.getEnd()) - node.getStart());
    return { kind: 'function', text: `${head.replace(/^export\s+/, '').trim()};` };
  }
  if (Node.isVariableDeclaration(node)) {
    const type = bareTypes(node.getType().getText(node, TypeFormatFlags.NoTruncation | TypeFormatFlags.UseAliasDefinedOutsideCurrentScope));
    const callable = node.getType().getCallSignatures().length > 0;
    return { kind: callable ? 'function' : 'constant', text: `const ${node.getName()}: ${type};` };
  }
  if (Node.isSourceFile(node)) return { kind: 'namespace', text: `namespace { ${[...node.getExportedDeclarations().keys()].sort().join(', ')} }` };
  if (Node.isInterfaceDeclaration(node)) return { kind: 'interface', text: bare(node) };
  if (Node.isTypeAliasDeclaration(node)) return { kind: 'type', text: bare(node) };
  return Node.isClassDeclaration(node) ? { kind: 'class', text: classText(node) } : null;
}

function entryOf(name: string, nodes: readonly ExportedDeclarations[]): Entry {
  const known = nodes.flatMap((node) => {
    const found = declaration(node);
    return found ? [{ ...found, node }] : [];
  });
  const [first] = known;
  if (!first) throw new Error(`${name}: scripts/api.ts does not know how to write this kind of export`);
  const own = (Node.hasName(first.node) ? first.node.getName() : undefined) ?? name;
  return {
    name,
    kind: [...new Set(known.map((k) => k.kind))].join(' and '),
    file: pathOf(first.node.getSourceFile()),
    signature: known.map((k) => (own === name ? k.text : k.text.replace(new RegExp(`\\b${own}\\b`), name))).join('\n\n'),
    doc: Node.isSourceFile(first.node)
      ? headOf(first.node)
      : nodes
          .flatMap(docsOf)
          .map(docText)
          .filter((text) => text !== '')
          .join('\n\n'),
  };
}

/** The comment at the head of a file. */
const headOf = (file: SourceFile): string =>
  (/^\/\*\*[\s*]*@file ([\s\S]*?)\s*\*\//.exec(file.getFullText())?.[1] ?? '').replaceAll(/\n \* ?/g, '\n').replace(/^`[^`]*`: /, '');
const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** Returns a function that makes anchors as GitHub does: in lower case, and numbered where two headings are equal. */
function anchors(): (heading: string) => string {
  const taken = new Map<string, number>();
  return (heading) => {
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
    const times = taken.get(slug) ?? 0;
    taken.set(slug, times + 1);
    return times === 0 ? slug : `${slug}-${times}`;
  };
}

const byName = (a: Entry, b: Entry): number => {
  const [x, y] = [a.name.toLowerCase(), b.name.toLowerCase()];
  return x === y ? (a.name < b.name ? -1 : 1) : x < y ? -1 : 1;
};

function pageText(name: string, head: string, entries: readonly Entry[]): string {
  const room = ({ file }: Entry): string => /^src\/([^/.]+)/.exec(file)?.[1] ?? '';
  const stray = entries.find((e) => !GROUPS.some((g) => g.rooms.includes(room(e))));
  if (stray) throw new Error(`${stray.name}: no group of scripts/api.ts has the room ${room(stray)}`);
  const groups = GROUPS.map(({ title, rooms }) => ({ title, entries: entries.filter((e) => rooms.includes(room(e))).sort(byName) })).filter(
    (g) => g.entries.length > 0,
  );
  const anchor = anchors();
  anchor(name);
  const contents: string[] = [];
  const body: string[] = [];
  for (const group of groups) {
    const links: string[] = [];
    const title = `[${group.title}](#${anchor(group.title)})`;
    body.push(`## ${group.title}`);
    for (const { name: own, kind, file, signature, doc } of group.entries) {
      links.push(`[\`${own}\`](#${anchor(own)})`);
      body.push(`### ${own}`, `${sentence(kind)} · [${file}](../../${file})`, `\`\`\`ts\n${signature}\n\`\`\``, doc);
    }
    contents.push(`- **${title}**: ${links.join(' · ')}`);
  }
  const made = `Exports of \`${name}\`, written by \`npm run docs:api\` from the sources.`;
  return `${[`# ${name}`, sentence(head), made, contents.join('\n'), ...body].filter((part) => part !== '').join('\n\n')}\n`;
}

function readCurrent(page: string): string | null {
  try {
    return readFileSync(resolve(ROOT, page), 'utf8');
  } catch {
    return null;
  }
}

const check = process.argv.includes('--check');
const project = new Project({ tsConfigFilePath: resolve(ROOT, 'tsconfig.json'), skipAddingFilesFromTsConfig: true });
const files = ENTRIES.map((entry) => ({ ...entry, source: project.addSourceFileAtPath(resolve(ROOT, entry.file)) }));
project.resolveSourceFileDependencies();
const problems = new Set<string>();
for (const { name, page, source } of files) {
  const entries = [...source.getExportedDeclarations()].map(([exported, nodes]) => entryOf(exported, nodes));
  for (const entry of entries) if (entry.doc === '') problems.add(`${entry.file}: ${entry.name} is exported by ${name} and has no docstring`);
  const text = pageText(name, headOf(source), entries);
  if (check && readCurrent(page) !== text) problems.add(`${page}: is stale; run npm run docs:api`);
  if (!check) {
    mkdirSync(dirname(resolve(ROOT, page)), { recursive: true });
    writeFileSync(resolve(ROOT, page), text);
  }
}
if (problems.size > 0) console.error([...problems].join('\n'));
process.exitCode = problems.size > 0 ? 1 : 0;
