/** @file Whether text is coloured. */

import { wantsColour } from '../../src/terminal/colour.ts';

it.each([
  [{}, true, true],
  [{}, false, false],
  [{ NO_COLOR: '1' }, true, false],
  [{ NO_COLOR: '' }, true, true],
  [{ FORCE_COLOR: '1' }, false, true],
  [{ FORCE_COLOR: '0' }, true, false],
  [{ NO_COLOR: '1', FORCE_COLOR: '1' }, false, false],
  [{ TERM: 'dumb' }, true, false],
  [{ CI: 'true' }, false, false],
])('with %j on a terminal: %s, colours are used: %s', (env, isTTY, wanted) => {
  expect(wantsColour(env, { isTTY })).toBe(wanted);
});
