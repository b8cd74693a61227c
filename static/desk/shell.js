// Preferences of this browser: density, and which packs are open in the menu. Runs before the first paint, like the theme.
(function () {
  const root = document.documentElement;
  const kept = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const keep = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private window */ } };
  if (kept("density") === "compact") root.dataset.density = "compact";

  document.addEventListener("DOMContentLoaded", () => {
    const dense = document.getElementById("density");
    if (dense) {
      const say = () => dense.setAttribute("aria-pressed", String(root.dataset.density === "compact"));
      dense.addEventListener("click", () => {
        if (root.dataset.density) delete root.dataset.density; else root.dataset.density = "compact";
        keep("density", root.dataset.density ?? "comfortable");
        say();
      });
      say();
      dense.hidden = false;
    }

    // Closed packs stay closed, except the one with the current page.
    const packs = [...document.querySelectorAll(".side details.pack")];
    const shut = new Set((kept("packs-shut") ?? "").split("|").filter(Boolean));
    for (const it of packs) {
      if (shut.has(it.dataset.pack) && !it.querySelector("[aria-current]")) it.open = false;
      it.querySelector("summary").addEventListener("click", () => {
        if (it.open) shut.add(it.dataset.pack); else shut.delete(it.dataset.pack);
        keep("packs-shut", [...shut].join("|"));
      });
    }

    // Filter the menu: Enter opens the first match, Escape shows everything.
    const narrow = document.getElementById("narrow");
    if (narrow) {
      const lines = [...narrow.closest(".side").querySelectorAll("li")], were = new Map();
      const fits = () => {
        const words = narrow.value.trim().toLowerCase();
        lines.forEach((it) => { it.hidden = !`${it.textContent} ${it.querySelector("a")?.dataset.also ?? ""}`.toLowerCase().includes(words); });
        for (const it of packs) {
          if (words && !were.has(it)) were.set(it, it.open);
          it.hidden = words !== "" && !it.querySelector("li:not([hidden])");
          if (words) it.open = true; else if (were.has(it)) { it.open = were.get(it); were.delete(it); }
          it.querySelectorAll("h3").forEach((head) => { head.hidden = words !== "" && !head.nextElementSibling?.querySelector("li:not([hidden])"); });
        }
      };
      narrow.addEventListener("input", fits);
      narrow.addEventListener("keydown", (event) => {
        if (event.key === "Enter") lines.find((it) => !it.hidden)?.querySelector("a").click();
        if (event.key === "Escape" && narrow.value) { event.preventDefault(); narrow.value = ""; fits(); }
      });
    }

    // Announce messages to screen readers after the page has loaded; they stay until closed.
    const toasts = document.querySelector(".toasts");
    if (toasts?.children.length) {
      const said = [...toasts.children];
      toasts.replaceChildren();
      setTimeout(() => toasts.append(...said), 60);
      toasts.addEventListener("click", (event) => event.target.closest("[data-shut]")?.parentElement.remove());
      document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !document.querySelector("dialog[open], :popover-open")) toasts.replaceChildren(); });
    }
  });
})();
