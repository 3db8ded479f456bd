/** @file The files that lie beside weights and come along with them: tokenizers in all their forms, chat templates, how text is generated. */

const NAMES: ReadonlySet<string> = new Set([
  'added_tokens.json',
  'chat_template.jinja',
  'chat_template.json',
  'generation_config.json',
  'merges.txt',
  'sentencepiece.bpe.model',
  'special_tokens_map.json',
  'spiece.model',
  'spm.model',
  'tokenizer.json',
  'tokenizer.model',
  'tokenizer_config.json',
  'vocab.json',
  'vocab.txt',
]);

/** The folder of further chat templates, each a file `NAME.jinja`. */
export const FURTHER_TEMPLATES = 'additional_chat_templates';

/** Whether a file comes along with the weights beside it. @param path in the folder of the weights, with `/` between its parts */
export function isSideFile(path: string): boolean {
  const [folder, name, ...rest] = path.split('/');
  if (name === undefined) return folder !== undefined && NAMES.has(folder);
  return folder === FURTHER_TEMPLATES && rest.length === 0 && name.endsWith('.jinja');
}
