"use strict";
(() => {
  const data = JSON.parse(document.getElementById("charts").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 600px)");
  const drawn = new Map();

  const config = () => {
    const theme = structuredClone(data.themes[dark.matches ? "dark" : "light"]);
    if (narrow.matches) {
      theme.axisY.labelLimit = 120;
      theme.legend.columns = 1;
      theme.axis.labelFontSize = 11;
    } else {
      theme.legend.columns = 4;
    }
    return theme;
  };

  // `ast` evaluates Vega's expressions without `eval`, so that the page's policy can forbid it.
  const draw = async (name) => {
    const place = document.getElementById(`chart-${name}`);
    drawn.get(name)?.finalize();
    try {
      const result = await vegaEmbed(place, data.charts[name], {
        mode: "vega-lite", renderer: "svg", actions: false, ast: true, logLevel: 1, defaultStyle: false,
        config: config(), tooltip: { disableDefaultStyle: true }, loader: { http: { cache: "only-if-cached" } },
      });
      drawn.set(name, result);
      place.dataset.state = "drawn";
    } catch (error) {
      place.dataset.state = "failed";
      place.textContent = "This chart could not be drawn; its numbers are in the query below.";
      console.error(name, error);
    }
  };

  const drawAll = () => Object.keys(data.charts).forEach(draw);
  drawAll();
  dark.addEventListener("change", drawAll);
  narrow.addEventListener("change", drawAll);

  const key = (row, column) => {
    const cell = row.cells[column];
    return { missing: cell.hasAttribute("data-missing"), number: cell.dataset.sort, text: cell.textContent.trim() };
  };
  const compare = (a, b) =>
    a.number !== undefined && b.number !== undefined
      ? Number(a.number) - Number(b.number)
      : a.text.localeCompare(b.text, undefined, { numeric: true });

  document.querySelectorAll("table:not(.paged) thead th").forEach((heading) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const order = heading.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
      heading.parentElement.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", order);
      const body = heading.closest("table").tBodies[0];
      const rows = [...body.rows].map((row) => ({ row, key: key(row, heading.cellIndex) }));
      const sign = order === "ascending" ? 1 : -1;
      rows.sort((a, b) => a.key.missing - b.key.missing || sign * compare(a.key, b.key));
      body.append(...rows.map((item) => item.row));
    });
  });
})();
