/** @file What every template has: the globals of Jinja2 and of transformers. */

import { strftime } from '../strftime.ts';
import { bind, integerArgument, needed } from './calls.ts';
import { raise, unsupported } from './failure.ts';
import { type Arguments, callable, type Dict, dictOf, iterate, type Range, type Value } from './values.ts';
import { repr, str } from './write.ts';

/** The longest range that Jinja2's sandbox makes. */
const MAX_RANGE = 100_000;

/** Globals that Jinja2 has and this engine does not. */
const UNSUPPORTED: readonly string[] = ['cycler', 'joiner', 'lipsum', 'self'];

function range(args: Arguments): Range {
  const [first, end, by = 1n] = bind('range', ['start', 'stop', 'step'], args);
  const start = integerArgument('range', needed('range', 'stop', first));
  const [from, to] = end === undefined ? [0, start] : [start, integerArgument('range', end)];
  const step = integerArgument('range', by);
  if (step === 0) raise('ValueError', 'range() arg 3 must not be zero');
  if ((to - from) / step > MAX_RANGE) raise('OverflowError', `Range too big. The sandbox blocks ranges larger than MAX_RANGE (${MAX_RANGE}).`);
  return { kind: 'range', from, to, step };
}

/** Python's dict(): a mapping or pairs, and names. */
function dict({ positional, keywords }: Arguments): Dict {
  if (positional.length > 1) raise('TypeError', `dict expected at most 1 argument, got ${positional.length}`);
  const [given = null] = positional;
  const pairs =
    positional.length === 0
      ? []
      : typeof given === 'object' && given?.kind === 'dict'
        ? [...given.entries.values()]
        : [...iterate(given)].map((pair): readonly [Value, Value] => {
            const [key, value, ...more] = iterate(pair);
            return key === undefined || value === undefined || more.length > 0
              ? raise('ValueError', 'dictionary update sequence element: 2 are required')
              : [key, value];
          });
  return dictOf([...pairs, ...keywords]);
}

function namespace(args: Arguments): Value {
  const entries = [...dict(args).entries.values()].map(([key, value]): [string, Value] => [str(key), value]);
  const hidden = entries.find(([key]) => key.startsWith('_'));
  if (hidden) raise('SecurityError', `a template cannot set ${repr(hidden[0])}, which begins with an underscore`);
  return { kind: 'namespace', values: new Map(entries) };
}

/** @param now the time that `strftime_now` tells */
export function globalsAt(now: Date): ReadonlyMap<string, Value> {
  const functions: Readonly<Record<string, (args: Arguments) => Value>> = {
    range,
    dict,
    namespace,
    raise_exception: (args) => raise('TemplateError', str(needed('raise_exception', 'message', bind('raise_exception', ['message'], args)[0]))),
    strftime_now(args) {
      const format = needed('strftime_now', 'format', bind('strftime_now', ['format'], args)[0]);
      return typeof format === 'string' ? strftime(format, now) : raise('TypeError', 'strftime() argument 1 must be str');
    },
  };
  const absent = UNSUPPORTED.map((name): [string, Value] => [name, callable(name, () => unsupported(`${name}()`))]);
  return new Map([...absent, ...Object.entries(functions).map(([name, made]): [string, Value] => [name, callable(name, made)])]);
}
