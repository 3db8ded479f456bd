/** @file The families of the library, one a line: a family is a folder here and its line. */

export { gpt2 } from './gpt2/gpt2.ts';
export { llama } from './llama/llama.ts';
export { mistral } from './mistral/mistral.ts';
