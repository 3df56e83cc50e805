// The page is complete without this: tiles are links to rows of a table. The script makes the whole
// map one stop of the Tab key; the arrow keys move between tiles, and the line below describes one.
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
    const to = { ArrowRight: () => tiles[at + 1], ArrowLeft: () => tiles[at - 1], ArrowDown: () => inRow(tiles[at], 1),
      ArrowUp: () => inRow(tiles[at], -1), Home: () => tiles[0], End: () => tiles[tiles.length - 1] }[e.key];
    if (!to) return;
    e.preventDefault();
    go(tiles[at], to());
  });
  // A row is in a table that may be folded.
  const unfold = () => {
    const row = location.hash && document.getElementById(location.hash.slice(1));
    if (!row) return;
    const folded = row.closest("details");
    if (folded) folded.open = true;
    row.scrollIntoView({ block: "center" });
  };
  addEventListener("hashchange", unfold);
  unfold();
})();
