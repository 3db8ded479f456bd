/** @file Numbers as the page shows them. */

const two = (n: number): string => String(n).padStart(2, '0');

/** Seconds as hours, minutes and seconds. */
export function clock(seconds: number): string {
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** A loss. JSON has no number for one that is none. */
export const loss = (value: number | null): string => (value === null ? 'no number' : value.toFixed(4));

/** Steps that are done, of all where that is known. */
export const steps = ({ done, of }: { readonly done: number; readonly of: number | null }): string => (of === null ? `${done}` : `${done}/${of}`);

/** A number of four digits, with none where there is no number. */
export const digits = (value: number | null): string => (value === null ? '–' : value.toPrecision(4));
