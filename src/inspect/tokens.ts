/** @file Splits IR and WGSL into tokens for colouring. The tokens of any text, put together, are the text. */

/** The kind of a piece of text. `plain` is everything that has no colour of its own. */
export type TokenKind = 'plain' | 'comment' | 'string' | 'number' | 'keyword' | 'type' | 'function' | 'value' | 'op' | 'site' | 'loc' | 'attribute';

export interface TextToken {
  readonly kind: TokenKind;
  readonly text: string;
}

/** A kind, and a sticky expression that matches its tokens. Of several rules that match, the first counts. */
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

/** The token that begins at `from`: what the first rule matches there, or a single plain character. */
function tokenAt(text: string, from: number, rules: readonly Rule[]): TextToken {
  for (const [kind, pattern] of rules) {
    pattern.lastIndex = from;
    const [piece] = pattern.exec(text) ?? [];
    if (piece) return { kind, text: piece };
  }
  return { kind: 'plain', text: text.charAt(from) };
}

/** Splits a text into tokens; neighbouring plain ones become one. */
function split(text: string, rules: readonly Rule[]): TextToken[] {
  const out: TextToken[] = [];
  let plain = '';
  const flush = (): void => {
    if (plain !== '') out.push({ kind: 'plain', text: plain });
    plain = '';
  };
  for (let from = 0; from < text.length; ) {
    const token = tokenAt(text, from, rules);
    if (token.kind === 'plain') plain += token.text;
    else {
      flush();
      out.push(token);
    }
    from += token.text.length;
  }
  flush();
  return out;
}

/** Splits text of the tensor IR, of linked variants or of the kernel IR. */
export const irTokens = (text: string): TextToken[] => split(text, IR);
/** Splits WGSL. */
export const wgslTokens = (text: string): TextToken[] => split(text, WGSL);
