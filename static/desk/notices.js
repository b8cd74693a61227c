// The bell counts while the page stays open, and new words come up for a moment. The stream ends at once each time; the browser asks again.
(() => {
  const bells = document.querySelectorAll("[data-bell]"), TOLD = 8000;
  if (!bells.length || !window.EventSource) return;
  let stream, toasts;

  const count = (unread) => bells.forEach((bell) => {
    const number = bell.querySelector("b");
    number.hidden = !unread;
    number.textContent = unread > 99 ? "99+" : unread;
    bell.querySelector(".unseen").textContent = `Notifications, ${unread} new`;
  });
  const tell = ({ words, url }) => {
    toasts ??= document.querySelector(".toasts");
    const it = Object.assign(document.createElement("a"), { href: url, textContent: words });
    toasts.append(it);
    setTimeout(() => it.remove(), TOLD);
  };
  const listen = () => {
    if (stream && stream.readyState !== EventSource.CLOSED) return;
    stream = new EventSource(bells[0].dataset.bell);
    stream.addEventListener("notices", (event) => {
      const { unread, new: told } = JSON.parse(event.data);
      count(unread);
      told.forEach(tell);
    });
  };
  // Nobody looks at a page in the background, so it does not ask.
  document.addEventListener("visibilitychange", () => { if (document.hidden) stream?.close(); else listen(); });
  setTimeout(() => { if (!document.hidden) listen(); }, 2000);
})();
