/** @file Lengths of time as people read them. */

const two = (n: number): string => String(n).padStart(2, '0');

/** Seconds in a few characters: `42 s`, `3m05s`, `2h10m`, `1d04h`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [minutes, hours, days] = [Math.floor(whole / 60), Math.floor(whole / 3600), Math.floor(whole / 86400)];
  if (minutes === 0) return `${whole} s`;
  if (hours === 0) return `${minutes}m${two(whole % 60)}s`;
  return days === 0 ? `${hours}h${two(minutes % 60)}m` : `${days}d${two(hours % 24)}h`;
}
