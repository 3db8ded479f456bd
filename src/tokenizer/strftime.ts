/** @file Python's datetime.strftime in the C locale, in local time. */

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];

const padded = (value: number, width = 2): string => String(value).padStart(width, '0');
const dayOfYear = (date: Date): number =>
  Math.round((Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 1)) / 86_400_000) + 1;
const hour12 = (date: Date): number => ((date.getHours() + 11) % 12) + 1;

const CODES: Readonly<Record<string, (date: Date) => string>> = {
  a: (date) => (DAYS[date.getDay()] ?? '').slice(0, 3),
  A: (date) => DAYS[date.getDay()] ?? '',
  b: (date) => (MONTHS[date.getMonth()] ?? '').slice(0, 3),
  B: (date) => MONTHS[date.getMonth()] ?? '',
  d: (date) => padded(date.getDate()),
  e: (date) => String(date.getDate()).padStart(2, ' '),
  F: (date) => strftime('%Y-%m-%d', date),
  H: (date) => padded(date.getHours()),
  I: (date) => padded(hour12(date)),
  j: (date) => padded(dayOfYear(date), 3),
  m: (date) => padded(date.getMonth() + 1),
  M: (date) => padded(date.getMinutes()),
  p: (date) => (date.getHours() < 12 ? 'AM' : 'PM'),
  S: (date) => padded(date.getSeconds()),
  T: (date) => strftime('%H:%M:%S', date),
  w: (date) => String(date.getDay()),
  y: (date) => padded(date.getFullYear() % 100),
  Y: (date) => padded(date.getFullYear(), 4),
  '%': () => '%',
};

/** @throws Error for a code that is not known, rather than a date that is wrong */
export function strftime(format: string, date: Date): string {
  return format.replaceAll(/%(-?)(.)/gs, (whole, minus: string, code: string) => {
    const write = Object.hasOwn(CODES, code) ? CODES[code] : undefined;
    if (!write) throw new Error(`strftime_now: ${whole} is not known`);
    return minus === '' ? write(date) : write(date).replace(/^[0 ]+(?=.)/, '');
  });
}
