{
  const votes = new Map();
  const items = page.all("[data-item]");
  const told = () => {
    document.getElementById("lines").value = [...votes].map(([item_id, winner]) => JSON.stringify({ item_id, winner })).join("\n");
    document.getElementById("count").textContent = `${votes.size} / ${items.length}`;
  };
  for (const item of items)
    for (const button of page.all("[data-winner]", item))
      button.addEventListener("click", () => {
        votes.set(item.dataset.item, button.dataset.winner);
        for (const other of page.all("[data-winner]", item)) other.setAttribute("aria-pressed", String(other === button));
        told();
      });
}
