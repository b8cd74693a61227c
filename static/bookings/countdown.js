// Counts on from what the server said, by elapsed time: a wrong clock on the visitor's side does not matter.
(function () {
  const began = performance.now();
  const some = (n, unit) => new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit, unitDisplay: "long" }).format(n);
  const clock = (s) => `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
  const stretch = (s, soon) => {
    const parts = [[Math.floor(s / 86400), "day"], [Math.floor((s % 86400) / 3600), "hour"], [Math.floor((s % 3600) / 60), "minute"]];
    const first = parts.findIndex(([n]) => n > 0);
    if (first < 0) return soon;
    return parts.slice(first, first + 2).filter(([n]) => n > 0).map(([n, word]) => some(n, word)).join(" ");
  };
  for (const each of document.querySelectorAll("[data-left]")) {
    const total = Number(each.dataset.left), say = each.dataset.as === "clock" ? clock : stretch;
    const tick = () => {
      const left = Math.max(0, total - Math.floor((performance.now() - began) / 1000));
      const words = say(left, each.dataset.soon);
      if (each.textContent !== words) each.textContent = words;
      if (left > 0) return;
      clearInterval(timer);
      // The page has changed its meaning: once, and a moment later, so that the server agrees.
      if (total > 0) setTimeout(() => location.reload(), 1500);
    };
    const timer = setInterval(tick, 1000);
    tick();
  }
  // A page that slept in a pocket, or came back from the browser's memory, asks anew.
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
})();
