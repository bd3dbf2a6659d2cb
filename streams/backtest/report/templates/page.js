// Draws the plots of this page in its colours, and again where these change: by day, by night, and on paper.
"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const root = document.documentElement;
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  // Only what stands where a colour does: a headline may say anything.
  const coloured = (value, inColour = false) => {
    if (typeof value === "string") return inColour && value.startsWith("var(--") ? colour(value.slice(4, -1)) : value;
    if (Array.isArray(value)) return value.map((inner) => coloured(inner, inColour));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, coloured(inner, /^color/.test(key))]));
    }
    return value;
  };
  const axis = () => ({
    gridcolor: colour("--line"), linecolor: colour("--line"), zerolinecolor: colour("--line"),
    automargin: true, fixedrange: false, tickfont: { size: 12 },
  });
  const layout = (own) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif", size: 12.5, color: colour("--ink") },
    margin: { l: 44, r: 10, t: 14, b: 30 }, bargap: 0.15, hovermode: "x unified",
    hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink") }, align: "left" },
    legend: { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom", traceorder: "normal" },
    ...own,
    xaxis: { ...axis(), showgrid: false, ...own.xaxis },
    yaxis: { ...axis(), rangemode: "tozero", ...own.yaxis },
  });
  const draw = (width) => {
    for (const [name, figure] of Object.entries(figures)) {
      const place = document.getElementById(`plot-${name}`);
      if (!place) continue;
      const found = layout(coloured(figure.layout));
      found.width = width ? Math.floor(place.closest(".two") ? width / 2 - 10 : width) : place.clientWidth;
      found.height = place.clientHeight;
      Plotly.react(place, coloured(figure.data), found, { displayModeBar: false, responsive: false });
    }
  };
  const paper = 680; // the width between the margins of A4, in CSS pixels
  draw();
  let waiting;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(draw, 120); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
  addEventListener("beforeprint", () => { root.dataset.print = ""; draw(paper); });
  addEventListener("afterprint", () => { delete root.dataset.print; draw(); });
})();
