// Razorpay's checkout.js, simulated: new Razorpay(options).open() opens the hosted page on a shop's page.
(() => {
  const home = new URL("../", document.currentScript.src);

  const field = (name, value) => Object.assign(document.createElement("input"), { type: "hidden", name, value: String(value) });

  const flat = (name, values) => Object.entries(values || {}).map(([each, value]) => field(`${name}[${each}]`, value));

  class Razorpay {
    constructor(options) {
      for (const name of ["key", "order_id"]) if (!options[name]) throw new Error(`The option ${name} is missing.`);
      this.options = options;
      this.listeners = {};
    }

    on(event, listener) {
      (this.listeners[event] ||= []).push(listener);
      return this;
    }

    open() {
      if (this.sheet) return;
      const options = this.options;
      this.sheet = document.createElement("dialog");
      this.sheet.className = "razorpay-checkout";
      const frame = Object.assign(document.createElement("iframe"), { name: `razorpay-${Date.now()}`, title: "Payment" });
      Object.assign(this.sheet.style, { padding: 0, border: 0, width: "min(30rem, 100vw)", height: "min(48rem, 96vh)", maxWidth: "none" });
      Object.assign(frame.style, { border: 0, width: "100%", height: "100%" });
      this.sheet.append(frame);
      document.body.append(this.sheet);
      this.sheet.addEventListener("cancel", () => this.dismiss());
      this.hears = (message) => message.source === frame.contentWindow && message.origin === home.origin && this.hear(message.data);
      window.addEventListener("message", this.hears);
      this.sheet.showModal();
      this.send(frame.name);
      if (options.timeout > 0) this.clock = setTimeout(() => this.dismiss(), options.timeout * 1000);
    }

    send(target) {
      const { key, order_id, name = "", description = "", prefill, notes, callback_url, redirect } = this.options;
      const away = redirect && callback_url;
      const form = Object.assign(document.createElement("form"), { method: "post", target: away ? "_top" : target, action: new URL("v1/checkout/embedded", home) });
      form.append(field("key_id", key), field("order_id", order_id), field("name", name), field("description", description), ...flat("prefill", prefill), ...flat("notes", notes));
      form.append(field("callback_url", away ? callback_url : new URL("sim/back", home)), field("cancel_url", away ? location.href : new URL("sim/away", home)));
      document.body.append(form);
      form.submit();
      form.remove();
    }

    hear(told) {
      if (!told.razorpay) return;
      const { left, ...razorpay } = told.razorpay;
      if (razorpay.razorpay_payment_id) {
        this.close();
        this.options.handler?.(razorpay);
      } else if (left) {
        this.dismiss();
      } else {
        const said = Object.fromEntries(["code", "description", "source", "step", "reason"].map((each) => [each, razorpay[`error[${each}]`]]));
        const error = { ...said, metadata: JSON.parse(razorpay["error[metadata]"]) };
        for (const each of this.listeners["payment.failed"] || []) each({ error });
      }
    }

    dismiss() {
      this.close();
      this.options.modal?.ondismiss?.();
    }

    close() {
      clearTimeout(this.clock);
      window.removeEventListener("message", this.hears);
      this.sheet?.remove();
      this.sheet = null;
    }
  }

  window.Razorpay = Razorpay;
})();
