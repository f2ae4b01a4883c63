"use strict";
(() => {
  const members = [...document.querySelectorAll("details.member")];
  const select = document.querySelector("#who");
  const show = (id) => {
    if (!members.some((one) => one.id === id)) return;
    for (const one of members) {
      one.hidden = one.id !== id;
      one.open = one.id === id;
    }
    select.value = id;
  };
  const follow = () => show(location.hash.slice(1));
  if (select) {
    select.closest("p").hidden = false;
    show(select.value);
    follow();
    select.addEventListener("change", () => show(select.value));
    addEventListener("hashchange", follow);
  }

  const table = document.querySelector("table.figures");
  const body = table.tBodies[table.tBodies.length - 1];
  const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const compare = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sorted = [...body.rows].sort((a, b) => compare(value(a, column), value(b, column)));
      body.append(...(down ? sorted.reverse() : sorted));
    });
  });
})();
