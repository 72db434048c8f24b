const touch = matchMedia("(pointer: coarse)").matches;  // a finger on a figure scrolls the page
for (const box of document.querySelectorAll(".plot")) {
  const drawn = JSON.parse(document.getElementById(box.id + "-data").textContent);
  if (touch) drawn.layout.dragmode = false;
  for (const [name, part] of Object.entries(drawn.layout)) {
    if (/^[xy]axis/.test(name) && part.title && innerWidth < 640) part.title.font = {size: 12};
  }
  Plotly.newPlot(box, drawn.data, drawn.layout, {
    responsive: true, displaylogo: false, displayModeBar: touch ? false : "hover",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "sendChartToCloud"],  // no upload
    plotlyServerURL: "",
  });
}
