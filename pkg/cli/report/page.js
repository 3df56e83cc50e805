// The page is complete without this: tiles are links to rows of a table. The script makes the whole
// map one stop of the Tab key; the arrow keys move between tiles, and the line below describes one.
// Long tables get pages, and the nodes a search and a filter. Print shows all of it whatever is hidden.
const pagers = [...document.querySelectorAll("table.paged")].map((table) => {
  const size = Number(table.dataset.rows), rows = [...table.tBodies[0].rows];
  let matching = rows, page = 0;
  const bar = document.createElement("div"), where = document.createElement("span");
  bar.className = "pager";
  const button = (text, step) => {
    const b = document.createElement("button");
    b.type = "button"; b.textContent = text;
    b.addEventListener("click", () => { page += step; draw(); });
    return b;
  };
  const back = button("Previous", -1), next = button("Next", 1);
  where.setAttribute("role", "status");
  bar.append(back, where, next);
  table.parentNode.after(bar);
  const draw = () => {
    const last = Math.max(0, Math.ceil(matching.length / size) - 1);
    page = Math.min(Math.max(page, 0), last);
    const on = new Set(matching.slice(page * size, (page + 1) * size));
    for (const row of rows) row.classList.toggle("off", !on.has(row));
    back.disabled = page === 0; next.disabled = page === last;
    where.textContent = matching.length === 0 ? "none of " + rows.length : `${page * size + 1} to ${Math.min(matching.length, (page + 1) * size)} of ${matching.length} ${table.dataset.name}`;
    bar.hidden = rows.length <= size;
  };
  draw();
  return {
    table,
    filter(match) { matching = rows.filter(match); page = 0; draw(); },
    reveal(row) { if (!matching.includes(row)) matching = rows; page = Math.floor(matching.indexOf(row) / size); draw(); },
  };
});
(() => {
  const all = document.getElementById("all-findings");
  if (!all || all.tBodies[0].rows.length <= Number(all.dataset.rows)) return;
  const label = document.createElement("label"), input = document.createElement("input");
  label.className = "tools"; label.textContent = "Search the findings ";
  input.type = "search"; input.placeholder = "node, reason, pod or trust domain";
  label.append(input);
  all.parentNode.before(label);
  const words = new Map([...all.tBodies[0].rows].map((row) => [row, row.textContent.toLowerCase()]));
  input.addEventListener("input", () => {
    const text = input.value.trim().toLowerCase();
    pagers.find((p) => p.table === all).filter((row) => words.get(row).includes(text));
  });
})();
(() => {
  const tools = document.getElementById("tools"), table = document.getElementById("all-nodes");
  if (!tools || !table) return;
  tools.hidden = false;
  const rows = [...table.tBodies[0].rows], words = new Map(rows.map((row) => [row.id, row.textContent.toLowerCase()]));
  const tiles = [...document.querySelectorAll("a.tile")].map((a) => ({ li: a.parentNode, id: a.getAttribute("href").slice(1) }));
  const search = document.getElementById("search"), show = document.getElementById("show"), shown = document.getElementById("shown");
  const apply = () => {
    const text = search.value.trim().toLowerCase(), kind = show.value;
    const match = (id, kinds) => words.get(id).includes(text) && (!kind || kinds.split(" ").includes(kind));
    let count = 0;
    for (const t of tiles) {
      const on = match(t.id, t.li.dataset.kind);
      t.li.classList.toggle("off", !on);
      if (on) count++;
    }
    for (const s of document.querySelectorAll("#map .section")) s.classList.toggle("off", !s.querySelector("li:not(.off)"));
    pagers.find((p) => p.table === table).filter((row) => match(row.id, row.dataset.kind));
    shown.textContent = count === tiles.length ? "" : `${count} of ${tiles.length} nodes`;
  };
  search.addEventListener("input", apply);
  show.addEventListener("change", apply);
  tools.addEventListener("submit", (e) => e.preventDefault());
})();
(() => {
  const says = document.getElementById("says");
  const tiles = [...document.querySelectorAll("a.tile")];
  if (!says || tiles.length === 0) return;
  says.hidden = false;
  tiles.forEach((tile, i) => { tile.tabIndex = i === 0 ? 0 : -1; });
  const show = (tile) => { says.textContent = tile.getAttribute("aria-label"); };
  const go = (from, to) => {
    if (!to) return;
    from.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  };
  const inRow = (tile, step) => {
    const y = tile.getBoundingClientRect();
    let best = null, far = Infinity;
    for (const other of tiles) {
      if (other.parentNode.classList.contains("off")) continue;
      const r = other.getBoundingClientRect();
      const down = (r.top - y.top) * step;
      if (down < y.height / 2) continue;
      const d = down * 1000 + Math.abs(r.left - y.left);
      if (d < far) { far = d; best = other; }
    }
    return best;
  };
  const map = document.getElementById("map");
  map.addEventListener("focusin", (e) => { if (e.target.matches("a.tile")) show(e.target); });
  map.addEventListener("mouseover", (e) => { const t = e.target.closest("a.tile"); if (t) show(t); });
  map.addEventListener("keydown", (e) => {
    const at = tiles.indexOf(document.activeElement);
    if (at < 0) return;
    const on = tiles.filter((t) => !t.parentNode.classList.contains("off")), here = on.indexOf(tiles[at]);
    const to = { ArrowRight: () => on[here + 1], ArrowLeft: () => on[here - 1], ArrowDown: () => inRow(tiles[at], 1),
      ArrowUp: () => inRow(tiles[at], -1), Home: () => on[0], End: () => on[on.length - 1] }[e.key];
    if (!to) return;
    e.preventDefault();
    go(tiles[at], to());
  });
  // A row is in a table that may be folded.
  const unfold = () => {
    const row = location.hash && document.getElementById(location.hash.slice(1));
    if (!row) return;
    for (const p of pagers) if (p.table.contains(row)) p.reveal(row);
    const folded = row.closest("details");
    if (folded) folded.open = true;
    row.scrollIntoView({ block: "center" });
  };
  addEventListener("hashchange", unfold);
  // The second click on the same tile changes no address.
  map.addEventListener("click", (e) => { if (e.target.closest("a.tile")) setTimeout(unfold); });
  unfold();
})();
