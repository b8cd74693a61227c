// Import: reloads the progress while a file is validated or imported.
(() => {
  const look = async () => {
    if (!document.querySelector("[data-going]")) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok || answer.redirected) return;
      const now = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.querySelector("main .inner").replaceChildren(...now.querySelector("main .inner").childNodes);
      document.title = now.title;
    } catch { /* the next look may find it again */ }
    setTimeout(look, 1000);
  };
  setTimeout(look, 700);
})();
