// Passkeys (WebAuthn): creates one, or signs in with one, and submits the browser's response with the form.
(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (it) => it.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const read = (asked) => ({
    ...asked,
    challenge: bytes(asked.challenge),
    ...(asked.user && { user: { ...asked.user, id: bytes(asked.user.id) } }),
    ...(asked.excludeCredentials && { excludeCredentials: asked.excludeCredentials.map((it) => ({ ...it, id: bytes(it.id) })) }),
    ...(asked.allowCredentials && { allowCredentials: asked.allowCredentials.map((it) => ({ ...it, id: bytes(it.id) })) }),
  });
  const write = (it) => {
    const response = { clientDataJSON: text(it.response.clientDataJSON) };
    for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) if (it.response[name]) response[name] = text(it.response[name]);
    if (it.response.getTransports) response.transports = it.response.getTransports();
    return JSON.stringify({ id: it.id, rawId: text(it.rawId), type: it.type, response });
  };
  const WORDS = {
    NotAllowedError: "The passkey request was cancelled or timed out.",
    InvalidStateError: "This device already has a passkey for your account.",
    SecurityError: "Passkeys don’t work at this address. Open this page at the site’s own address.",
  };

  document.querySelectorAll("form[data-passkey]").forEach((form) => {
    if (!window.PublicKeyCredential || location.origin !== form.dataset.origin) return;
    const { answer } = form.elements, button = form.querySelector("button"), says = form.querySelector("[data-says]");
    const say = (words) => { says.hidden = !words; says.querySelector("span").textContent = words; };
    form.hidden = false;
    form.parentElement.querySelectorAll("[data-without-passkeys]").forEach((it) => { it.hidden = true; });
    addEventListener("pageshow", () => { answer.value = ""; button.disabled = false; });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      say("");
      button.disabled = true;
      try {
        const got = await fetch(form.dataset.passkey, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } });
        const told = await got.json();
        if (!got.ok) throw new Error(told.error.message);
        const publicKey = read(told);
        answer.value = write(await (told.user ? navigator.credentials.create({ publicKey }) : navigator.credentials.get({ publicKey })));
        form.submit();
      } catch (error) {
        say(WORDS[error.name] ?? (error.name === "Error" ? error.message : "Something went wrong. Please try again."));
        button.disabled = false;
        button.focus();
      }
    });
  });
})();
