// Times on the visitor's own clock. What somebody chose is kept; otherwise the browser is asked, once.
(function () {
  const chooser = document.querySelector("form[data-zone]");
  if (!chooser) return;
  // Some browsers still say the old names.
  const renamed = { "Asia/Calcutta": "Asia/Kolkata", "Asia/Katmandu": "Asia/Kathmandu", "Asia/Rangoon": "Asia/Yangon", "Asia/Saigon": "Asia/Ho_Chi_Minh", "Europe/Kiev": "Europe/Kyiv" };
  const keep = (zone) => {
    const safely = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `zone=${zone}; Path=/; Max-Age=31536000; SameSite=Lax${safely}`;
  };
  const shown = chooser.dataset.zone;
  const kept = /(?:^|; )zone=/;

  if (new URLSearchParams(location.search).has("tz")) return keep(shown);
  if (kept.test(document.cookie)) return;
  const mine = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!mine) return;
  const zone = renamed[mine] || mine;
  keep(zone);
  if (zone !== shown && kept.test(document.cookie)) location.reload();
})();
