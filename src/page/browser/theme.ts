/** @file The button that turns a page light or dark, against what the system says. */

import { el } from './dom.ts';

/** Until it is used the page is as the system is. */
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
