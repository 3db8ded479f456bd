/** @file Whether text is coloured: decided here, as libraries have rules of their own. */

/** Whether text for `stream` is coloured. NO_COLOR (no-color.org) forbids it, FORCE_COLOR asks for it, and otherwise a terminal is coloured. */
export function wantsColour(env: Readonly<Record<string, string | undefined>>, stream: { readonly isTTY?: boolean }): boolean {
  if (env['NO_COLOR']) return false;
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}
