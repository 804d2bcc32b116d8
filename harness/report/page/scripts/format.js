// Numbers as text, as in the tables: a score below 1 is not rounded up to 1.

const NOTHING = "–";
const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** Write a fraction with two digits. */
function scoreText(value, digits = 2) {
  if (!known(value)) return NOTHING;
  const top = 10 ** -digits;
  return (value >= 1 - top / 2 && value < 0.9995 ? 1 - top : value).toFixed(digits);
}

/** Write a count to three digits: 950, 21.3k, 3M. */
function countText(value) {
  if (!known(value)) return NOTHING;
  for (const [unit, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (value >= unit) return `${Number((value / unit).toPrecision(3))}${letter}`;
  return `${Number(value.toPrecision(3))}`;
}

/** Write bytes to three digits. */
function sizeText(value) {
  if (!known(value)) return NOTHING;
  for (const [unit, letters] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]])
    if (value >= unit) return `${Number((value / unit).toPrecision(3))} ${letters}`;
  return `${Number(value.toPrecision(3))} B`;
}

/** Write a duration. */
function secondsText(value) {
  if (!known(value)) return NOTHING;
  if (value < 1) return `${Number(value.toPrecision(2))} s`;
  if (value < 120) return `${Number(value.toPrecision(3))} s`;
  return value < 7200 ? `${Math.round(value / 60)} min` : `${Number((value / 3600).toPrecision(2))} h`;
}

/** Shorten a name in the middle: names of architectures often differ only in their last option. */
function short(text, most) {
  if (text.length <= most) return text;
  const tail = Math.ceil((most - 1) * 0.6);
  return `${text.slice(0, most - 1 - tail)}…${text.slice(-tail)}`;
}

const pretty = (text) => String(text).replaceAll(">=", "≥").replaceAll("<=", "≤");

/** Write the range of some numbers: 1–20. */
function spanText(values) {
  const [low, high] = d3.extent((values ?? []).filter(known));
  return low === undefined ? NOTHING : low === high ? `${low}` : `${low}–${high}`;
}
