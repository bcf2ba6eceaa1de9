// Dates in words: "tomorrow", "fri", "30 nov", in English and in the person's own language.

import { day } from "./draw.js";

const LANGUAGES = [...new Set(["en", new Intl.DateTimeFormat().resolvedOptions().locale])];
const clean = (word) => word.toLowerCase().replace(/\.$/, "");

/** The names of days or months, each with its number, long and short. */
function names(count, date, option) {
  const found = new Map();
  for (const language of LANGUAGES)
    for (const length of ["long", "short"])
      for (let number = 0; number < count; number += 1) {
        const format = new Intl.DateTimeFormat(language, { [option]: length, timeZone: "UTC" });
        found.set(clean(format.format(date(number))), number);
      }
  return found;
}

const WEEKDAYS = names(7, (number) => Date.UTC(2023, 0, 1 + number), "weekday"); // from a Sunday
const MONTHS = names(12, (number) => Date.UTC(2023, number, 1), "month");
MONTHS.set("sept", 8);

const toMonday = () => (8 - new Date().getDay()) % 7 || 7;
const RELATIVE = new Map(
  LANGUAGES.flatMap((language) => {
    const format = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
    return [[format.format(0, "day"), () => 0], [format.format(1, "day"), () => 1], [format.format(1, "week"), toMonday]];
  }),
);

/** The day that a button names: today, tomorrow or next week. */
export const pick = (words) => day(RELATIVE.get(words)());

function dayOf(year, month, number) {
  const date = new Date(Date.UTC(year, month, number));
  return date.getUTCMonth() === month ? date.toISOString().slice(0, 10) : null;
}

/** A day of a month: of this year, or of the next once it is over. */
function near(month, number, year) {
  const this_year = new Date().getFullYear();
  const due = dayOf(year ?? this_year, month, number);
  return due && !year && due < day() ? dayOf(this_year + 1, month, number) : due;
}

/** The date that some words are, if they are one. */
function read(words) {
  const text = clean(words);
  if (RELATIVE.has(text)) return pick(text);
  if (WEEKDAYS.has(text)) return day((WEEKDAYS.get(text) - new Date().getDay() + 7) % 7 || 7);
  const iso = /^(\d{4})-(\d\d?)-(\d\d?)$/.exec(text);
  if (iso) return dayOf(iso[1], iso[2] - 1, iso[3]);
  const dotted = /^(\d\d?)\.\s?(\d\d?)(?:\.\s?(\d{4})?)?$/.exec(words.toLowerCase());
  if (dotted && words.trim().endsWith(".") | Boolean(dotted[3])) return near(dotted[2] - 1, dotted[1], dotted[3]);
  const [, number, month, year] = /^(\d\d?)(?:st|nd|rd|th|\.)? (\p{L}+)\.?(?: (\d{4}))?$/u.exec(text) ?? [];
  const [, other, after, later] = /^(\p{L}+)\.? (\d\d?)(?:st|nd|rd|th)?(?:,? (\d{4}))?$/u.exec(text) ?? [];
  const named = MONTHS.get(clean(month ?? other ?? ""));
  return named === undefined ? null : near(named, number ?? after, year ?? later);
}

/** Find a date in the last words of a title; return it and the title without them. */
export function find(title) {
  const words = title.split(/\s+/);
  for (let count = Math.min(3, words.length - 1); count > 0; count -= 1) {
    const due = read(words.slice(-count).join(" "));
    const rest = words.slice(0, -count);
    if (!due || /^(the|a|an)$/i.test(rest.at(-1))) continue;
    if (/^(on|by|due|next|until)$/i.test(rest.at(-1)) && rest.length > 1) rest.pop();
    return { title: title.slice(0, endOf(title, rest.length)), due };
  }
  return null;
}

/** Where so many words of a text end, as its spaces stay as they are typed. */
function endOf(title, count) {
  const found = [...title.matchAll(/\S+/g)][count - 1];
  return found.index + found[0].length;
}
