// Light or dark: the system decides until the reader does. Runs before the first paint.
(function () {
  const root = document.documentElement, KEY = "theme";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const shown = () => root.dataset.theme || (dark.matches ? "dark" : "light");
  const kept = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
  const keep = (theme) => { try { localStorage.setItem(KEY, theme); } catch { /* private window */ } };
  if (kept() === "light" || kept() === "dark") root.dataset.theme = kept();

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("shade");
    if (!button) return;
    const say = () => { button.querySelector("span").textContent = shown() === "dark" ? button.dataset.light || "Light" : button.dataset.dark || "Dark"; };
    button.addEventListener("click", () => {
      root.dataset.theme = shown() === "dark" ? "light" : "dark";
      keep(root.dataset.theme);
      say();
    });
    dark.addEventListener("change", say);
    say();
    button.hidden = false;
  });
})();
