// Numbers and times as the viewer writes them.

const LEAST = 0.001; // a smaller share is said as "under 0.1 %"
const shares = new Intl.NumberFormat(undefined, { style: "percent", maximumSignificantDigits: 2 });
const minutes = { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" };
const moments = new Intl.DateTimeFormat(undefined, minutes);
const earlier = new Intl.DateTimeFormat(undefined, { ...minutes, year: "numeric" });
const short = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const days = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

/** A share from 0 to 1. */
export const percent = (share) => (share > 0 && share < LEAST ? `under ${shares.format(LEAST)}` : shares.format(share));

/** An instant in the viewer's zone, with the year if it is not this one. */
export function moment(iso) {
  const at = new Date(iso);
  return (at.getFullYear() === new Date().getFullYear() ? moments : earlier).format(at);
}

/** The day of an instant in the viewer's zone. */
export const day = (iso) => days.format(new Date(iso));

/** The day of an instant without its year. */
export const shortDay = (iso) => short.format(new Date(iso));

/** Milliseconds as minutes and seconds, with hours if there are any. */
export function clock(ms) {
  const seconds = Math.floor(ms / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (number) => String(number).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** A greeting for the hour of the viewer. */
export function greeting(hour = new Date().getHours()) {
  if (hour < 5) return "Good evening";
  return hour < 12 ? "Good morning" : hour < 18 ? "Good afternoon" : "Good evening";
}
