/* The data of the page, and what the reader has chosen of it. */
const Data = JSON.parse(find("data").textContent);
const State = { words: [], group: -1, unit: -1, time: "share", persons: "main", sort: "name", down: false };
const MAX_GROUPS = 8;

const Study = (() => {
  const { bins, classes } = Data, n = classes.length;
  const steps = Data.bins / 3; // of a mean curve: finer ones show noise
  const decoded = new WeakMap(), whole = new WeakMap(), moved = new WeakMap();

  function curveOf(person) {
    if (!decoded.has(person)) decoded.set(person, Stats.decode(person.c, bins, n));
    return decoded.get(person);
  }
  const withCurve = (video) => video.p.filter((person) => person.c);
  const personsOf = (video) => (State.persons === "main" ? video.p.slice(0, 1) : video.p);

  /* The video's own curve, in steps of the axis that is chosen; null where nobody is. */
  function curve(video) {
    const persons = withCurve({ p: personsOf(video) });
    if (!persons.length) return null;
    const key = State.persons;
    if (!whole.has(video)) whole.set(video, {});
    const kept = whole.get(video);
    kept[key] ??= Stats.together(persons.map(curveOf), bins, n);
    const end = State.time === "share" ? video.d : axisEnd(), place = `${key} ${end}`;
    if (!moved.has(video)) moved.set(video, {});
    return (moved.get(video)[place] ??= Stats.resample(kept[key], video.d, bins, end, steps, n));
  }

  /* Share of each label: of the time that the persons are there. */
  function shares(video) {
    const persons = personsOf(video), total = persons.reduce((sum, person) => sum + person.s, 0);
    if (!total) return null;
    return Data.labels.map((_, i) => persons.reduce((sum, person) => sum + person.l[i] * person.s, 0) / total);
  }

  /* Seconds of the longest video. */
  function axisEnd() {
    end ??= shown().reduce((most, video) => Math.max(most, video.d), 1e-9);
    return end;
  }

  function text(video) {
    video.text ??= [video.n, ...video.p.map((person) => person.n), ...video.m.map((value) => Say.value(value))]
      .join("\u0001").toLowerCase();
    return video.text;
  }

  function fits(video, word) {
    const at = word.indexOf(":");
    if (at > 0) {
      const column = Data.columns.findIndex((one) => one.name.toLowerCase() === word.slice(0, at));
      if (column >= 0) return Say.value(video.m[column]).toString().toLowerCase().startsWith(word.slice(at + 1));
    }
    return text(video).includes(word);
  }

  let found = null, end = null;
  function shown() {
    found ??= Data.videos.filter((video) => State.words.every((word) => fits(video, word)));
    return found;
  }
  function forget() {
    found = end = null;
  }

  function byValue(videos, column) {
    const found = new Map();
    for (const video of videos) {
      const value = column < 0 ? "" : video.m[column];
      if (!found.has(value)) found.set(value, []);
      found.get(value).push(video);
    }
    return found;
  }

  /* Groups in the order of their values, those without one last. */
  function groups() {
    if (State.group < 0) return [{ name: "all videos", value: undefined, videos: shown() }];
    return [...byValue(shown(), State.group)]
      .sort(([a], [b]) => (a === null) - (b === null) || compare(a, b))
      .map(([value, videos]) => ({ name: value === null ? "(none)" : Say.value(value), value, videos }));
  }

  /* The videos of a group by units: each one, or all with one value of a column. */
  function units(videos) {
    return State.unit < 0 ? videos.map((video) => [video]) : [...byValue(videos, State.unit).values()];
  }

  function meanCurve(videos) {
    const curves = units(videos)
      .map((unit) => unit.map(curve).filter(Boolean))
      .filter((unit) => unit.length)
      .map((unit) => Stats.average(unit, steps, n));
    return Stats.meanCurve(curves, steps, n, Data.t95);
  }

  function meanShares(videos) {
    const rows = units(videos)
      .map((unit) => unit.map(shares).filter(Boolean))
      .filter((unit) => unit.length)
      .map((unit) => Data.labels.map((_, i) => unit.reduce((sum, row) => sum + row[i] / unit.length, 0)));
    return Data.labels.map((_, i) => Stats.describe(rows.map((row) => row[i]), Data.t95));
  }

  const unitName = (count) => {
    if (State.unit < 0) return Say.count(count, "video");
    return `${count} of ${Data.columns[State.unit].name}`;
  };

  return {
    bins, steps, classes, n, curveOf, curve, shares, personsOf, axisEnd, shown, forget, groups, units, meanCurve,
    meanShares, unitName,
  };
})();

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}
