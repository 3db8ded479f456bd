/** @file Splits IR and WGSL into tokens for colouring. Total: the pieces put together are the text. */

/** What a piece of text is. `plain` holds everything without a colour of its own. */
export type TokenKind = 'plain' | 'comment' | 'string' | 'number' | 'keyword' | 'type' | 'function' | 'value' | 'op' | 'site' | 'loc' | 'attribute';

export interface TextToken {
  readonly kind: TokenKind;
  readonly text: string;
}

type Rule = readonly [TokenKind, RegExp];

const DTYPE = `(?:f32|f16|bf16|i32|u32|bool|q8_0|q4_0|q4_1|q4_k|q6_k)`;
const IR: readonly Rule[] = [
  ['comment', /\/\/[^\n]*/y],
  ['string', /"(?:[^"\\]|\\.)*"/y],
  ['loc', /loc\([^)\n]*\)/y],
  ['function', /@[\w.]+/y],
  ['value', /%[\w.]+(?:\[\d+\][\w.]*)*/y],
  ['type', new RegExp(String.raw`\b${DTYPE}\[[^\]\n]*\]`, 'y')],
  ['site', /(?<=@[\w.]+ )\[[\w.]+\]/y],
  ['attribute', /[A-Za-z_]\w*(?= = )/y],
  [
    'keyword',
    /(?:ebb(?= \d)|dims|func|return|call|fused|variant of|kernel|buffer|shared|read_write|read|save|grad|update|weight|input|scalar|saved|cotangent|state|let|var|if|else|for|while|loop|break|none|true|false)\b(?!\.)/y,
  ],
  ['op', /(?<= = )[a-z_][\w]*/y],
  ['number', /-?\b\d+(?:\.\d+)?(?:e[+-]?\d+)?[uif]?\b/y],
  ['plain', /[A-Za-z_][\w.]*/y],
];
const WGSL: readonly Rule[] = [
  ['comment', /\/\/[^\n]*/y],
  ['attribute', /@\w+/y],
  ['type', /\b(?:vec[234](?:<\w+>|[fuih])|array|atomic|mat\dx\d\w*|f32|f16|i32|u32|bool)\b/y],
  [
    'keyword',
    /\b(?:fn|let|var|const|if|else|for|while|loop|break|continue|return|struct|enable|override|switch|case|default|storage|uniform|workgroup|read_write|read)\b/y,
  ],
  ['number', /\b\d+(?:\.\d+)?(?:e[+-]?\d+)?[uifh]?\b/y],
  ['function', /[A-Za-z_]\w*(?=\()/y],
  ['plain', /[A-Za-z_]\w*/y],
];

function split(text: string, rules: readonly Rule[]): TextToken[] {
  const out: TextToken[] = [];
  let plain = '';
  const flush = (): void => {
    if (plain !== '') out.push({ kind: 'plain', text: plain });
    plain = '';
  };
  for (let at = 0; at < text.length; ) {
    let kind: TokenKind = 'plain';
    let piece = '';
    for (const [rule, pattern] of rules) {
      pattern.lastIndex = at;
      piece = pattern.exec(text)?.[0] ?? '';
      kind = rule;
      if (piece !== '') break;
    }
    if (piece === '' || kind === 'plain') plain += piece || (text[at] ?? '');
    else {
      flush();
      out.push({ kind, text: piece });
    }
    at += piece.length || 1;
  }
  flush();
  return out;
}

/** Tokens of the tensor IR, of linked variants and of the kernel IR. */
export const irTokens = (text: string): TextToken[] => split(text, IR);
/** Tokens of WGSL. */
export const wgslTokens = (text: string): TextToken[] => split(text, WGSL);
