"use strict";
// Draws the charts, sorts and searches the tables. Everything it needs is in this page.
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const config = { displaylogo: false, responsive: true, displayModeBar: false };

  for (const element of document.querySelectorAll(".chart")) {
    const { data, layout, aspect } = charts[element.dataset.chart];
    const draw = (width) => ({ ...layout, height: Math.round(width * aspect), width });
    Plotly.newPlot(element, data, draw(element.clientWidth), { ...config, responsive: false });
    let last = element.clientWidth;
    const fit = () => {
      if (element.clientWidth && element.clientWidth !== last) {
        last = element.clientWidth;
        const { width, height } = draw(last);
        Plotly.relayout(element, { width, height });
      }
    };
    new ResizeObserver(fit).observe(element);
    window.addEventListener("beforeprint", fit);
  }

  // Confusion matrices: shares or counts in the cells.
  for (const group of document.querySelectorAll("[data-cells]")) {
    const buttons = [...group.querySelectorAll("button")];
    for (const button of buttons) {
      button.addEventListener("click", () => {
        buttons.forEach((b) => b.setAttribute("aria-pressed", String(b === button)));
        for (const element of document.querySelectorAll(".chart[data-kind=confusion]")) {
          Plotly.restyle(element, { text: [charts[element.dataset.chart][button.value]] }, [0]);
        }
      });
    }
  }

  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.v ?? cell.textContent.trim();
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    heads.forEach((head, column) => {
      head.dataset.sort = "";
      head.tabIndex = 0;
      const sort = () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((h) => h.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].sort((a, b) => {
          const [x, y] = [value(a, column), value(b, column)];
          const order = x !== "" && y !== "" && !isNaN(x) && !isNaN(y) ? x - y : x.localeCompare(y);
          return down ? -order : order;
        });
        body.append(...rows);
      };
      head.addEventListener("click", sort);
      head.addEventListener("keydown", (event) => event.key === "Enter" && sort());
    });
  }

  for (const controls of document.querySelectorAll("[data-filters]")) {
    const table = document.getElementById(controls.dataset.filters);
    const search = controls.querySelector("input");
    const buttons = [...controls.querySelectorAll("button")];
    const count = controls.querySelector("output");
    const filter = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const kind = buttons.find((b) => b.getAttribute("aria-pressed") === "true").value;
      let shown = 0;
      for (const row of table.tBodies[0].rows) {
        const text = row.textContent.toLowerCase();
        const fits = words.every((word) => text.includes(word)) && (!kind || row.dataset.kind === kind);
        row.hidden = !fits;
        shown += fits;
      }
      count.textContent = `${shown} shown`;
    };
    search.addEventListener("input", filter);
    for (const button of buttons) {
      button.addEventListener("click", () => {
        buttons.forEach((b) => b.setAttribute("aria-pressed", String(b === button)));
        filter();
      });
    }
  }
})();
