// Notifications: updates the bell and shows new ones, by server-sent events. Each response ends at once, and the browser reconnects.
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
  // Do not poll in background tabs.
  document.addEventListener("visibilitychange", () => { if (document.hidden) stream?.close(); else listen(); });
  setTimeout(() => { if (!document.hidden) listen(); }, 2000);
})();
