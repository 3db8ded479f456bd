/** @file The button that switches a page between light and dark. */

import { el } from './dom.ts';

/** Creates the button. Until it is used, the page follows the setting of the system. */
export function themeButton(): HTMLElement {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const root = document.documentElement;
  const isDark = (): boolean => (root.style.colorScheme === '' ? dark.matches : root.style.colorScheme === 'dark');
  return el(
    'button',
    { class: 'theme', 'aria-label': 'light or dark', onclick: () => root.style.setProperty('color-scheme', isDark() ? 'light' : 'dark') },
    '◐',
  );
}
