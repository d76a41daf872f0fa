/* What the reader does. */
const Main = (() => {
  const pressed = (selector, name, value) => {
    for (const button of document.querySelectorAll(selector))
      button.setAttribute("aria-pressed", String(button.dataset[name] === value));
  };

  function refresh() {
    Study.forget();
    const count = Study.shown().length;
    find("count").textContent = count === Data.videos.length ? Say.count(count, "video") : `${count} of ${Say.count(Data.videos.length, "video")}`;
    for (const id of ["groups", "shares"]) find(id).hidden = !count;
    if (count) {
      Charts.panels();
      Charts.shares();
    }
    Table.draw();
    find("direction").textContent = State.down ? "↓" : "↑";
    find("sort").value = State.sort;
    pressed("[data-time]", "time", State.time);
    pressed("[data-persons]", "persons", State.persons);
  }

  function set(change) {
    Object.assign(State, change);
    refresh();
  }

  function sortBy(id) {
    set({ sort: id, down: State.sort === id ? !State.down : false });
    [...find("table").tHead.querySelectorAll("th[aria-sort]:not([aria-sort=none]) button")][0]?.focus();
  }

  function options(select, choices) {
    select.replaceChildren(...choices.map(([value, name]) => el("option", { value }, name)));
  }

  function theme(choice) {
    document.documentElement.dataset.theme = choice;
    Table.repaint();
  }

  const system = matchMedia("(prefers-color-scheme: dark)");
  document.documentElement.dataset.theme = system.matches ? "dark" : "light";
  system.addEventListener("change", () => theme(system.matches ? "dark" : "light"));
  find("theme").addEventListener("click", () =>
    theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));

  const groupable = Data.columns.map((one, i) => [i, one])
    .filter(([i]) => new Set(Data.videos.map((video) => video.m[i])).size <= 60);
  options(find("group"), [[-1, "nothing"], ...groupable.map(([i, one]) => [i, one.name])]);
  options(find("unit"), [[-1, "a video"], ...Data.columns.map((one, i) => [i, one.name])]);
  options(find("sort"), Table.sorts.map(({ id, name }) => [id, name]));
  State.group = groupable.some(([i]) => i === Data.groupBy) ? Data.groupBy : -1;
  find("group").value = String(State.group);
  find("group").closest("label").hidden = !groupable.length;
  find("unit").closest("label").hidden = !Data.columns.length;
  find("persons").hidden = Data.videos.every((video) => video.p.length < 2);

  find("emotions").replaceChildren(
    ...Study.classes.map((one, i) => el("li", {}, el("i", { class: "dot", style: { "--c": Charts.colourOf(i) } }), one.name)),
    el("li", {}, el("i", { class: "dot state" }), "no prediction"));

  let pause = 0;
  find("filter").addEventListener("input", (event) => {
    clearTimeout(pause);
    pause = setTimeout(() => set({ words: words(event.target.value) }), 120);
  });
  /* Words apart by spaces; quotes keep them together. */
  function words(text) {
    return [...text.toLowerCase().matchAll(/([^\s"]*)"([^"]*)"?|(\S+)/g)].map(([, before, quoted, plain]) => plain ?? before + quoted).filter(Boolean);
  }

  find("group").addEventListener("change", (event) => set({ group: Number(event.target.value) }));
  find("unit").addEventListener("change", (event) => set({ unit: Number(event.target.value) }));
  find("sort").addEventListener("change", (event) => set({ sort: event.target.value }));
  find("direction").addEventListener("click", () => set({ down: !State.down }));
  for (const button of document.querySelectorAll("[data-time]"))
    button.addEventListener("click", () => set({ time: button.dataset.time }));
  for (const button of document.querySelectorAll("[data-persons]"))
    button.addEventListener("click", () => set({ persons: button.dataset.persons }));
  find("save").addEventListener("click", () => {
    const link = el("a", { href: URL.createObjectURL(new Blob([Charts.csv()], { type: "text/csv" })), download: "groups.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "Escape" && event.target === find("filter")) {
      find("filter").value = "";
      set({ words: [] });
      find("filter").blur();
    } else if (event.key === "ArrowDown" && event.target === find("filter")) {
      event.preventDefault();
      Table.step(1);
    }
    if (typing) return;
    const actions = {
      "/": () => find("filter").focus(),
      ArrowDown: () => Table.step(1),
      ArrowUp: () => Table.step(-1),
      g: () => {
        const values = [...find("group").options].map((option) => Number(option.value));
        find("group").value = values[(values.indexOf(State.group) + 1) % values.length];
        set({ group: Number(find("group").value) });
      },
      t: () => set({ time: State.time === "share" ? "seconds" : "share" }),
      p: () => set({ persons: State.persons === "main" ? "all" : "main" }),
    };
    const inTable = find("table").contains(document.activeElement);
    if (event.key.startsWith("Arrow") && !inTable) return; // arrows scroll the page elsewhere
    if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    }
  });

  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) { width = innerWidth; Table.repaint(); }
  });
  let seen = null; // the theme to come back to: paper is light
  addEventListener("beforeprint", () => {
    seen = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    Table.all();
  });
  addEventListener("afterprint", () => theme(seen));
  refresh();
  return { sortBy };
})();
