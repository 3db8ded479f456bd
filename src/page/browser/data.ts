/** @file The data that a page carries inside its file (../file.ts). */

import { invariant } from '../../errors.ts';

/** Reads the page's data. The caller says its type, as the page is made from a value of that type. @throws Error where there is none */
export function embeddedData<T>(): T {
  const text = document.getElementById('data')?.textContent;
  invariant(text, 'the page carries no data');
  return JSON.parse(text) as T;
}
