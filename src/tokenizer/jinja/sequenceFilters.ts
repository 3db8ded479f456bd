/** @file Jinja2's filters of sequences. Those that give their items one by one in Jinja2 do so here. */

import { item } from './attributes.ts';
import { bind, type Filter, integerArgument, type Lookups, needed, textArgument } from './calls.ts';
import { raise } from './failure.ts';
import { arithmetic, order } from './operators.ts';
import {
  type Arguments,
  checkDefined,
  type Dict,
  equals,
  generator,
  isUndefined,
  iterate,
  keyOf,
  lengthOf,
  list,
  truth,
  tuple,
  typeName,
  undefinedValue,
  type Value,
} from './values.ts';
import { str } from './write.ts';

type Getter = (value: Value) => Value;

/** What reads an attribute such as `a.b.0` of items. */
function attributeGetter(path: Value, fallback: Value = null): Getter {
  if (path === null) return (value) => value;
  const parts = typeof path === 'string' ? path.split('.').map((part): Value => (/^\d+$/.test(part) ? BigInt(part) : part)) : [path];
  return (value) =>
    parts.reduce((inner, part) => {
      const found = item(inner, part);
      return fallback !== null && isUndefined(found) ? fallback : found;
    }, value);
}

const lowered: Getter = (value) => (typeof value === 'string' ? value.toLowerCase() : value);

/** What items are put in order by. */
function sortKey(path: Value, isCaseSensitive: Value): Getter {
  const post = truth(isCaseSensitive) ? (value: Value): Value => value : lowered;
  if (typeof path !== 'string') {
    const get = attributeGetter(path);
    return (value) => list([post(get(value))]);
  }
  const getters = path.split(',').map((part) => attributeGetter(part));
  return (value) => list(getters.map((get) => post(get(value))));
}

function sorted(values: Iterable<Value>, key: Getter, isReversed: Value): Value {
  const keyed = [...values].map((value) => ({ value, key: key(value) }));
  const sign = truth(isReversed) ? -1 : 1;
  return list(keyed.sort((a, b) => sign * order('<', a.key, b.key)).map(({ value }) => value));
}

function dictOnly(name: string, value: Value): Dict {
  checkDefined(value);
  return typeof value === 'object' && value?.kind === 'dict' ? value : raise('TypeError', `${name}: expected a mapping, not ${typeName(value)}`);
}

/** The least or the largest element. @param operator compares them, and names itself where they have no order */
function extreme(name: string, operator: '<' | '>', isBetter: (difference: number) => boolean): Filter {
  return (value, args) => {
    const [isCaseSensitive = false, path = null] = bind(name, ['case_sensitive', 'attribute'], args);
    const getter = attributeGetter(path);
    const key: Getter = (one) => (truth(isCaseSensitive) ? getter(one) : lowered(getter(one)));
    let best: Value | undefined;
    for (const one of iterate(value)) if (best === undefined || isBetter(order(operator, key(one), key(best)))) best = one;
    return best === undefined ? undefinedValue('No aggregated item, sequence was empty.') : best;
  };
}

const rest = ({ positional, keywords }: Arguments, from: number): Arguments => ({ positional: positional.slice(from), keywords });

function mapped(value: Value, args: Arguments, lookups: Lookups): Value {
  const getter = mapGetter(args, lookups);
  return generator(
    (function* () {
      if (truth(value)) for (const one of iterate(value)) yield getter(one);
    })(),
  );
}

function mapGetter(args: Arguments, lookups: Lookups): Getter {
  const path = args.keywords.get('attribute');
  if (args.positional.length === 0 && path !== undefined) {
    const [, fallback = null] = bind('map', ['attribute', 'default'], args);
    return attributeGetter(path, fallback);
  }
  const [name] = args.positional;
  if (name === undefined) return raise('FilterArgumentError', 'map requires a filter argument');
  return (one) => lookups.filter(textArgument('map', name), one, rest(args, 1));
}

/** `select`, `reject`, `selectattr` and `rejectattr`. */
const chosen =
  (isWanted: boolean, ofAttribute: boolean): Filter =>
  (value, args, lookups) => {
    const [path] = args.positional;
    if (ofAttribute && path === undefined) raise('FilterArgumentError', 'Missing parameter for attribute name');
    const getter = attributeGetter(ofAttribute ? (path ?? null) : null);
    const own = rest(args, ofAttribute ? 1 : 0);
    const [name] = own.positional;
    const test = (one: Value): boolean => (name === undefined ? truth(one) : lookups.test(textArgument('select', name), one, rest(own, 1)));
    return generator(
      (function* () {
        if (truth(value)) for (const one of iterate(value)) if (test(getter(one)) === isWanted) yield one;
      })(),
    );
  };

function* batches(value: Value, size: number, fill: Value): Generator<Value> {
  let batch: Value[] = [];
  for (const one of iterate(value)) {
    if (batch.length === size) {
      yield list(batch);
      batch = [];
    }
    batch.push(one);
  }
  if (batch.length > 0) yield list(fill === null ? batch : [...batch, ...Array.from({ length: size - batch.length }, () => fill)]);
}

function* slices(value: Value, count: number, fill: Value): Generator<Value> {
  const items = [...iterate(value)];
  const [size, longer] = [Math.floor(items.length / count), items.length % count];
  let from = 0;
  for (let i = 0; i < count; i++) {
    const to = from + size + (i < longer ? 1 : 0);
    yield list([...items.slice(from, to), ...(fill !== null && i >= longer ? [fill] : [])]);
    from = to;
  }
}

function* unique(value: Value, key: Getter): Generator<Value> {
  const seen = new Set<string>();
  for (const one of iterate(value)) {
    const id = keyOf(key(one));
    if (!seen.has(id)) yield one;
    seen.add(id);
  }
}

function grouped(value: Value, args: Arguments): Value {
  const [path, fallback = null, isCaseSensitive = false] = bind('groupby', ['attribute', 'default', 'case_sensitive'], args);
  const getter = attributeGetter(needed('groupby', 'attribute', path), fallback);
  const key: Getter = (one) => (truth(isCaseSensitive) ? getter(one) : lowered(getter(one)));
  const groups: { readonly key: Value; readonly items: Value[] }[] = [];
  for (const one of iterate(sorted(iterate(value), key, false))) {
    const last = groups.at(-1);
    if (last && equals(last.key, key(one))) last.items.push(one);
    else groups.push({ key: key(one), items: [one] });
  }
  return list(groups.map(({ items }) => tuple([getter(items[0] ?? null), list(items)])));
}

function length(value: Value, args: Arguments): Value {
  bind('length', [], args);
  const found = lengthOf(value);
  return found === undefined ? raise('TypeError', `object of type '${typeName(value)}' has no len()`) : BigInt(found);
}

/** The first item, or none. */
function first(value: Value, args: Arguments): Value {
  bind('first', [], args);
  for (const one of iterate(value)) return one;
  return undefinedValue('No first item, sequence was empty.');
}

function last(value: Value, args: Arguments): Value {
  bind('last', [], args);
  if (typeof value === 'object' && value?.kind === 'generator') return raise('TypeError', "'generator' object is not reversible");
  const found = [...iterate(value)].at(-1);
  return found === undefined ? undefinedValue('No last item, sequence was empty.') : found;
}

export const SEQUENCE_FILTERS: Readonly<Record<string, Filter>> = {
  length,
  count: length,
  first,
  last,
  list: (value, args) => (bind('list', [], args), list([...iterate(value)])),
  map: mapped,
  select: chosen(true, false),
  reject: chosen(false, false),
  selectattr: chosen(true, true),
  rejectattr: chosen(false, true),
  min: extreme('min', '<', (difference) => difference < 0),
  max: extreme('max', '>', (difference) => difference > 0),
  groupby: grouped,
  join(value, args) {
    const [separator = '', path = null] = bind('join', ['d', 'attribute'], args);
    const getter = attributeGetter(path);
    return [...iterate(value)].map((one) => str(getter(one))).join(str(separator));
  },
  sum(value, args) {
    const [path = null, start = 0n] = bind('sum', ['attribute', 'start'], args);
    const getter = attributeGetter(path);
    if (typeof start === 'string') return raise('TypeError', "sum() can't sum strings [use ''.join(seq) instead]");
    return [...iterate(value)].reduce((total, one) => arithmetic('+', total, getter(one)), start);
  },
  sort(value, args) {
    const [isReversed = false, isCaseSensitive = false, path = null] = bind('sort', ['reverse', 'case_sensitive', 'attribute'], args);
    return sorted(iterate(value), sortKey(path, isCaseSensitive), isReversed);
  },
  dictsort(value, args) {
    const [isCaseSensitive = false, by = 'key', isReversed = false] = bind('dictsort', ['case_sensitive', 'by', 'reverse'], args);
    if (by !== 'key' && by !== 'value') return raise('FilterArgumentError', 'You can only sort by either "key" or "value"');
    const pairs = [...dictOnly('dictsort', value).entries.values()].map(tuple);
    return sorted(pairs, sortKey(by === 'key' ? 0n : 1n, isCaseSensitive), isReversed);
  },
  items(value, args) {
    bind('items', [], args);
    return generator(
      (function* () {
        if (!isUndefined(value)) for (const pair of dictOnly('items', value).entries.values()) yield tuple(pair);
      })(),
    );
  },
  reverse(value, args) {
    bind('reverse', [], args);
    if (typeof value === 'string') return Array.from(value).toReversed().join('');
    const items = [...iterate(value)].toReversed();
    return typeof value === 'object' && value?.kind === 'generator' ? list(items) : generator(items);
  },
  unique(value, args) {
    const [isCaseSensitive = false, path = null] = bind('unique', ['case_sensitive', 'attribute'], args);
    const getter = attributeGetter(path);
    return generator(unique(value, truth(isCaseSensitive) ? getter : (one) => lowered(getter(one))));
  },
  batch(value, args) {
    const [size, fill = null] = bind('batch', ['linecount', 'fill_with'], args);
    return generator(batches(value, integerArgument('batch', needed('batch', 'linecount', size)), fill));
  },
  slice(value, args) {
    const [count, fill = null] = bind('slice', ['slices', 'fill_with'], args);
    return generator(slices(value, integerArgument('slice', needed('slice', 'slices', count)), fill));
  },
};
