"""The report page's style and the few lines that draw its figures."""

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; "
    "script-src 'unsafe-inline' 'unsafe-eval'; form-action 'none'; base-uri 'none'"
)
"""Content security policy: the page loads and sends nothing.  (plotly compiles its WebGL: eval.)"""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #ffffff; --ink: #1d2127; --soft: #565d66; --line: #d7dbe0; --panel: #f5f6f8;
  --accent: #0067a3; --warn: #fff3d6; --warn-edge: #c98600;
  --good: #00704f; --bad: #a84300; --open: #565d66;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171b; --ink: #e6e9ed; --soft: #a5adb7; --line: #373d45; --panel: #1c2026;
    --accent: #6cb8e6; --warn: #3a2f14; --warn-edge: #d9a032;
    --good: #4fcfa5; --bad: #ff9a5c; --open: #a5adb7;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 72rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 3rem 0 .75rem; }
h3 { font-size: 1rem; margin: 0; }
p, dd, td, li { overflow-wrap: anywhere; }
a { color: var(--accent); }
.budget { color: var(--soft); margin: .25rem 0 1.25rem; }
.question { font-size: 1.15rem; max-width: 46rem; }
.answer { border-left: 4px solid var(--accent); padding: .25rem 0 .25rem 1rem; max-width: 50rem; }
.answer p { margin: .35rem 0; font-size: 1.1rem; }
.warning {
  background: var(--warn); border: 1px solid var(--warn-edge); border-radius: 6px;
  padding: .6rem 1rem; margin: 1rem 0; max-width: 50rem;
}
.warning p { margin: .2rem 0; }
.grid ~ .scroll { margin-top: 1.5rem; }
.grid { display: grid; gap: 2rem 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); }
figure { margin: 0; min-width: 0; }
figcaption p { margin: .1rem 0 .5rem; color: var(--soft); font-size: .875rem; }
.scroll { overflow: auto; max-width: 100%; max-height: 38rem; }
.scroll:has(.plot) { max-height: none; overflow-y: hidden; }
.plot { min-width: 0; }
.plot.wide { min-width: 44rem; }
table { border-collapse: collapse; font-size: .9rem; width: 100%; }
caption { text-align: left; color: var(--soft); font-size: .875rem; padding-bottom: .4rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem .4rem 0; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; box-shadow: inset 0 -2px var(--line); border: 0; position: sticky; top: 0;
  background: var(--page); }
td { font-variant-numeric: tabular-nums; }
td.text { white-space: normal; min-width: 15rem; }
td.figures { white-space: pre-line; }
.whole table { table-layout: fixed; }
.whole th:nth-child(1) { width: 6.5rem; }
.whole th:nth-child(2) { width: 9rem; }
.note { display: block; color: var(--soft); font-size: .8125rem; }
td.word { font-weight: 600; }
td.reproduced { color: var(--good); }
td.not-reproduced { color: var(--bad); }
td.undecided, td.not-testable-here, td.not-run-here, td.no-study-yet { color: var(--open); }
td.not-run-here, td.no-study-yet { font-weight: 400; }
.checks th:nth-child(1) { width: 9rem; }
.checks th:nth-child(2) { width: 5.5rem; }
.compared th:nth-child(1) { width: 18rem; }
.compared td:nth-child(1) { white-space: normal; }
.compared th:nth-child(3) { width: 5rem; }
td.check-warning { color: var(--bad); }
td.check-ok { color: var(--good); font-weight: 400; }
.command { color: var(--soft); font-size: .75rem; margin: .25rem 0 0; }
section > h3 { margin-top: 2rem; }
.gallery { list-style: none; padding: 0; display: grid; gap: 1rem .75rem; font-size: .8125rem;
  grid-template-columns: repeat(auto-fill, minmax(6.25rem, 1fr)); }
.gallery img { display: block; width: 84px; height: 84px; image-rendering: pixelated; }
.gallery span { display: block; overflow-wrap: normal; }
details { margin-top: 1rem; }
summary { cursor: pointer; color: var(--accent); }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) minmax(0, 1fr);
  gap: .3rem 1rem; font-size: .9rem; }
dt { color: var(--soft); }
dd { margin: 0; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 6px;
  padding: .6rem .8rem; overflow-x: auto; font-size: .875rem; }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.plot .xtitle, .plot .ytitle, .plot .y2title, .plot .xtick text, .plot .ytick text,
.plot .y2tick text, .plot .legendtext, .plot .annotation-text, .plot .bartext,
.plot .parcoords text, .plot .infolayer .colorbar text,
.plot .heatmap-label text { fill: var(--ink) !important; }
.plot .parcoords .axis-extent-text { display: none; }
.plot .parcoords .axis path, .plot .parcoords .axis line { stroke: var(--soft) !important; }
.plot .parcoords text { text-shadow: none !important; }
.plot .modebar { background: transparent !important; }
@media (max-width: 52rem) {
  .whole thead { display: none; }
  .whole :is(table, caption, tbody, tr, td) { display: block; }
  .whole tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
  .whole td { border: 0; padding: .1rem 0; white-space: pre-line; }
}
@media (max-width: 40rem) {
  main { padding: 1.25rem .9rem 3rem; }
  h1 { font-size: 1.45rem; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dd { margin-bottom: .5rem; }
}
@media print { .plot .modebar { display: none; } h2 { break-after: avoid; } }
"""

SCRIPT = """
const touch = matchMedia("(pointer: coarse)").matches;  // a finger on a figure scrolls the page
for (const box of document.querySelectorAll(".plot")) {
  const drawn = JSON.parse(document.getElementById(box.id + "-data").textContent);
  if (touch) drawn.layout.dragmode = false;
  Plotly.newPlot(box, drawn.data, drawn.layout, {
    responsive: true, displaylogo: false, displayModeBar: touch ? false : "hover",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "sendChartToCloud"],  // no upload
    plotlyServerURL: "",
  });
}
"""
