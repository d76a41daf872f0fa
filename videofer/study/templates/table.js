/* The table of videos: a row each, drawn as it comes into view. */
const Table = (() => {
  const CHUNK = 60, MAX_SHOWN_PERSONS = 4, MAX_COLUMNS = 4;
  // The folder stands above the name.
  const columns = Data.columns.map((one, place) => ({ ...one, place })).filter(({ name }) => name !== "folder").slice(0, MAX_COLUMNS);
  let waiting = [], drawn = 0;

  const sorts = [
    { id: "name", name: "name", of: (video) => video.n },
    { id: "duration", name: "length", of: (video) => video.d },
    ...Data.columns.map((one, i) => ({ id: `m${i}`, name: one.name, of: (video) => video.m[i] })),
    ...Data.labels.map((label, i) => ({ id: `l${i}`, name: `share of ${Say.label(label)}`, of: (video) => Study.shares(video)?.[i] ?? null })),
    { id: "valence", name: "mean valence", of: (video) => video.p[0]?.v ?? null },
    { id: "arousal", name: "mean arousal", of: (video) => video.p[0]?.a ?? null },
    { id: "segments", name: "segments a minute", of: (video) => video.p[0]?.r ?? null },
    { id: "persons", name: "number of persons", of: (video) => video.p.length },
  ];

  /* In order; videos without a value last, whichever way. */
  function inOrder(videos) {
    const { of } = sorts.find(({ id }) => id === State.sort), sign = State.down ? -1 : 1;
    const keyed = videos.map((video) => [of(video), video]);
    keyed.sort(([a, x], [b, y]) => (a === null) - (b === null) || sign * compare(a, b) || compare(x.n, y.n));
    return keyed.map(([, video]) => video);
  }

  function draw() {
    const heads = [["name", "video"], ...columns.map((one) => [`m${one.place}`, one.name]), ["duration", "length"],
      [null, State.time === "share" ? "expressions over the video" : "expressions over seconds"], [null, "mostly"], ["segments", "segments / min"]];
    find("table").tHead.replaceChildren(el("tr", {}, ...heads.map(([id, name]) => {
      if (id === null) return el("th", { scope: "col" }, name);
      const sorted = State.sort === id ? (State.down ? "descending" : "ascending") : "none";
      return el("th", { scope: "col", "aria-sort": sorted, class: id === "duration" || id === "segments" ? "n" : "" },
        el("button", { type: "button", onclick: () => Main.sortBy(id) }, name));
    })));
    const groups = Study.groups(), many = State.group >= 0;
    waiting = groups.flatMap((group) => [
      ...(many ? [() => groupRow(group, heads.length)] : []),
      ...inOrder(group.videos).map((video) => () => videoRow(video)),
    ]);
    drawn = 0;
    find("table").tBodies[0].replaceChildren();
    find("table").hidden = !Study.shown().length;
    find("nothing").hidden = Boolean(Study.shown().length);
    more();
  }

  function more(count = CHUNK) {
    const rows = waiting.slice(drawn, drawn + count).map((make) => make());
    drawn += rows.length;
    find("table").tBodies[0].append(...rows);
    find("more").hidden = drawn >= waiting.length;
    for (const row of rows) for (const canvas of row.querySelectorAll("canvas")) strips.observe(canvas);
  }

  function groupRow({ name, videos }, span) {
    return el("tr", { class: "divider" }, el("th", { colspan: span, scope: "rowgroup" },
      `${Data.columns[State.group].name}: `, el("strong", {}, name),
      el("span", { class: "soft" }, ` · ${Say.count(videos.length, "video")}`)));
  }

  function videoRow(video) {
    const persons = Study.personsOf(video).slice(0, MAX_SHOWN_PERSONS), left = Study.personsOf(video).length - persons.length;
    const title = video.n.slice(video.n.lastIndexOf("/") + 1), folder = video.n.slice(0, -title.length);
    const name = video.h ? el("a", { href: video.h, class: "open" }, title) : el("span", { class: "open", tabindex: 0 }, title);
    const face = video.f ? el("img", { src: `data:image/jpeg;base64,${video.f}`, alt: "", width: 40, height: 40 })
      : el("span", { class: "noface", "aria-hidden": "true" });
    const shares = Study.shares(video);
    let top = -1;
    if (shares) for (let i = 0; i < Study.n; i++) if (shares[i] > 0 && (top < 0 || shares[i] > shares[top])) top = i;
    return el("tr", {},
      el("td", { class: "name" }, el("div", {}, face, el("span", {}, el("span", { class: "soft small path" }, folder), name))),
      ...columns.map((one) => el("td", { "data-name": one.name, class: one.kind === "number" ? "meta num" : "meta" }, Say.value(video.m[one.place]))),
      el("td", { class: "n", "data-name": "length" }, Say.time(video.d)),
      el("td", { class: "strips" }, ...persons.map((person) => strip(video, person)),
        persons.length ? null : el("span", { class: "soft small" }, "nobody is seen"),
        left > 0 ? el("span", { class: "soft small" }, `and ${left} more`) : null),
      el("td", { class: "said", "data-name": "mostly" }, top < 0 ? "–" : el("span", {},
        el("i", { class: "dot", style: { "--c": Charts.colourOf(top) } }), Say.label(Data.labels[top]),
        el("span", { class: "soft" }, ` ${Say.percent(shares[top])}`))),
      el("td", { class: "n", "data-name": "segments / min" }, video.p[0] && video.p[0].r !== null ? video.p[0].r.toFixed(1) : "–"));
  }

  function strip(video, person) {
    const share = State.time === "share" ? 1 : video.d / Study.axisEnd();
    const named = video.p.length > 1 || !/^person \d+$/.test(person.n);
    const said = person.l.map((value, i) => [value, Data.labels[i]]).filter(([value]) => value >= 0.05)
      .sort((a, b) => b[0] - a[0]).map(([value, label]) => `${Say.label(label)} ${Say.percent(value)}`).join(", ");
    const canvas = person.c ? el("canvas", { role: "img", "aria-label": `${person.n}: ${said}`, style: { width: "100%", height: `${Ribbon.HEIGHT}px` } }) : null;
    if (!canvas) return el("div", { class: "soft small" }, `${person.n}: not drawn`);
    canvas.paint = () => Ribbon.draw(canvas, Study.curveOf(person), Study.classes, Study.bins, share);
    const binAt = (event) => {
      const box = canvas.getBoundingClientRect();
      return Math.floor(((event.clientX - box.left) / box.width / share) * Study.bins);
    };
    canvas.addEventListener("pointermove", (event) => {
      const b = binAt(event);
      if (b < 0 || b >= Study.bins) return Tip.hide();
      Tip.show(event.clientX, event.clientY, `${person.n}, ${Say.time(((b + 0.5) / Study.bins) * video.d)}`,
        Ribbon.linesAt(Study.curveOf(person), Study.classes, b));
    });
    canvas.addEventListener("pointerleave", Tip.hide);
    canvas.addEventListener("click", (event) => {
      const b = binAt(event);
      if (video.r && b >= 0 && b < Study.bins) location.href = `${video.h}#t=${(((b + 0.5) / Study.bins) * video.d).toFixed(2)}`;
    });
    if (video.r) canvas.classList.add("goes");
    const well = el("div", { class: "well", style: { width: `${100 * share}%` } });
    return el("div", { class: "strip" }, named ? el("span", { class: "soft person" }, person.n) : null, el("div", { class: "field" }, well, canvas));
  }

  const strips = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries)
      if (isIntersecting) { strips.unobserve(target); target.paint(); }
  }, { rootMargin: "400px" });
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && drawn < waiting.length) more();
  }, { rootMargin: "1200px" }).observe(find("more"));

  function repaint() {
    for (const canvas of find("table").querySelectorAll("canvas")) { strips.unobserve(canvas); strips.observe(canvas); }
  }

  /* For print: every row, and every strip at once. */
  function all() {
    more(waiting.length);
    for (const canvas of find("table").querySelectorAll("canvas")) canvas.paint();
  }

  function step(by) {
    const links = [...find("table").querySelectorAll(".open")];
    const at = links.indexOf(document.activeElement);
    const next = links[at < 0 ? 0 : Math.max(0, Math.min(links.length - 1, at + by))];
    next?.focus();
  }

  return { sorts, draw, repaint, all, step };
})();
