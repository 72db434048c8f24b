// Contents: a link to each heading.
document.querySelectorAll("h2").forEach((heading, number) => {
  heading.id = `part-${number + 1}`;
  const [item, link] = [document.createElement("li"), document.createElement("a")];
  link.href = `#${heading.id}`;
  link.textContent = heading.textContent;
  item.append(link);
  document.querySelector("nav ul").append(item);
});

// A click on a heading sorts a long table by that column; a second click turns the order.
const value = (row, column) => {
  const text = row.cells[column].textContent.trim();
  const number = Number.parseFloat(text.replaceAll(",", "").replace("\u2212", "-"));
  return Number.isNaN(number) ? text : number;
};

function sortBy(table, column) {
  const heading = table.tHead.rows[0].cells[column];
  const ascending = heading.ariaSort !== "ascending";
  for (const other of table.tHead.rows[0].cells) other.ariaSort = "none";
  heading.ariaSort = ascending ? "ascending" : "descending";
  const rows = [...table.tBodies[0].rows].sort((first, second) => {
    const [a, b] = [value(first, column), value(second, column)];
    const order = typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1;
    return ascending ? order : -order;
  });
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll(".scroll > table")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    heading.tabIndex = 0;
    heading.title = "sort by this column";
    heading.addEventListener("click", () => sortBy(table, column));
    heading.addEventListener("keydown", (event) => event.key === "Enter" && sortBy(table, column));
  });
}
