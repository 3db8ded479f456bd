/** @file Python's datetime.strftime in the C locale, of a local time without a zone, as glibc writes it. */

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const DAY = 86_400_000;

const dayOfYear = (date: Date): number =>
  Math.round((Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 1)) / DAY);
const hour12 = (date: Date): number => ((date.getHours() + 11) % 12) + 1;
/** Monday is 0. */
const weekday = (date: Date): number => (date.getDay() + 6) % 7;

/** The year and the week of ISO 8601: those of the Thursday of the same week. */
function isoWeek(date: Date): { readonly year: number; readonly week: number } {
  const thursday = new Date(date.getFullYear(), date.getMonth(), date.getDate() + 3 - weekday(date));
  return { year: thursday.getFullYear(), week: Math.floor(dayOfYear(thursday) / 7) + 1 };
}

/** A number, how many digits it has at least, and what fills them. */
type Numeric = readonly [of: (date: Date) => number, width: number, fill: '0' | ' '];

const NUMBERS: Readonly<Record<string, Numeric>> = {
  C: [(date) => Math.floor(date.getFullYear() / 100), 2, '0'],
  d: [(date) => date.getDate(), 2, '0'],
  e: [(date) => date.getDate(), 2, ' '],
  g: [(date) => isoWeek(date).year % 100, 2, '0'],
  G: [(date) => isoWeek(date).year, 4, '0'],
  H: [(date) => date.getHours(), 2, '0'],
  I: [hour12, 2, '0'],
  j: [(date) => dayOfYear(date) + 1, 3, '0'],
  k: [(date) => date.getHours(), 2, ' '],
  l: [hour12, 2, ' '],
  m: [(date) => date.getMonth() + 1, 2, '0'],
  M: [(date) => date.getMinutes(), 2, '0'],
  s: [(date) => Math.floor(date.getTime() / 1000), 1, '0'],
  S: [(date) => date.getSeconds(), 2, '0'],
  u: [(date) => weekday(date) + 1, 1, '0'],
  U: [(date) => Math.floor((dayOfYear(date) + 7 - date.getDay()) / 7), 2, '0'],
  V: [(date) => isoWeek(date).week, 2, '0'],
  w: [(date) => date.getDay(), 1, '0'],
  W: [(date) => Math.floor((dayOfYear(date) + 7 - weekday(date)) / 7), 2, '0'],
  y: [(date) => date.getFullYear() % 100, 2, '0'],
  // glibc writes no zeros in front of a year
  Y: [(date) => date.getFullYear(), 1, '0'],
};

const TEXTS: Readonly<Record<string, (date: Date) => string>> = {
  a: (date) => (DAYS[date.getDay()] ?? '').slice(0, 3),
  A: (date) => DAYS[date.getDay()] ?? '',
  b: (date) => (MONTHS[date.getMonth()] ?? '').slice(0, 3),
  B: (date) => MONTHS[date.getMonth()] ?? '',
  c: (date) => strftime('%a %b %e %H:%M:%S %Y', date),
  D: (date) => strftime('%m/%d/%y', date),
  f: (date) => `${String(date.getMilliseconds()).padStart(3, '0')}000`,
  F: (date) => strftime('%Y-%m-%d', date),
  h: (date) => strftime('%b', date),
  n: () => '\n',
  p: (date) => (date.getHours() < 12 ? 'AM' : 'PM'),
  P: (date) => (date.getHours() < 12 ? 'am' : 'pm'),
  r: (date) => strftime('%I:%M:%S %p', date),
  R: (date) => strftime('%H:%M', date),
  t: () => '\t',
  T: (date) => strftime('%H:%M:%S', date),
  x: (date) => strftime('%m/%d/%y', date),
  X: (date) => strftime('%H:%M:%S', date),
  z: () => '',
  Z: () => '',
  '%': () => '%',
};

/** @throws Error for a code that is not known, rather than a date that is wrong */
export function strftime(format: string, date: Date): string {
  return format.replaceAll(/%([-_0^]?)(\d*)(.)/gs, (whole, flag: string, width: string, code: string) => {
    const number = Object.hasOwn(NUMBERS, code) ? NUMBERS[code] : undefined;
    if (number) {
      const [of, least, fill] = number;
      const filler = flag === '_' ? ' ' : flag === '0' ? '0' : fill;
      return String(of(date)).padStart(flag === '-' ? 0 : Math.max(least, Number(width)), filler);
    }
    const text = Object.hasOwn(TEXTS, code) ? TEXTS[code] : undefined;
    if (!text || width !== '' || (flag !== '' && flag !== '^')) throw new Error(`strftime_now: ${whole} is not known`);
    return flag === '^' ? text(date).toUpperCase() : text(date);
  });
}
