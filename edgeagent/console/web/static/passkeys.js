// Passkeys: what the browser's own dialogue needs, and what it answers, to and from the console.
"use strict";
(() => {
  if (!window.PublicKeyCredential) {
    document.querySelectorAll("[data-passkey-login], [data-passkey-new]").forEach((one) => one.remove());
    return;
  }
  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

  async function ask(address, body, csrf = "") {
    const answer = await fetch(address, {
      method: "POST", credentials: "same-origin", body: JSON.stringify(body),
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
    });
    const told = await answer.json();
    if (!answer.ok) throw new Error(`${told.title}. ${told.remedy ?? ""}`);
    return told;
  }

  function plain(credential) {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = text(credential.response[name]);
    }
    return { id: credential.id, rawId: text(credential.rawId), type: credential.type, response };
  }

  async function register(box) {
    const options = await ask("/account/passkeys/options", {}, box.dataset.csrf);
    options.challenge = bytes(options.challenge);
    options.user.id = bytes(options.user.id);
    for (const one of options.excludeCredentials ?? []) one.id = bytes(one.id);
    const made = await navigator.credentials.create({ publicKey: options });
    const title = encodeURIComponent(box.querySelector("input").value);
    return ask(`/account/passkeys?title=${title}`, plain(made), box.dataset.csrf);
  }

  async function logIn(box) {
    const options = await ask("/login/passkey/options", {});
    options.challenge = bytes(options.challenge);
    const found = await navigator.credentials.get({ publicKey: options });
    return ask(`/login/passkey?next=${encodeURIComponent(box.dataset.next)}`, plain(found));
  }

  function wire(selector, act) {
    for (const box of document.querySelectorAll(selector)) {
      const trouble = box.querySelector("[role=alert]");
      box.querySelector("button").addEventListener("click", async () => {
        trouble.hidden = true;
        try {
          location.assign((await act(box)).go);
        } catch (error) {
          trouble.hidden = false;
          trouble.textContent = error.name === "NotAllowedError" ? "It was called off, or took too long." : error.message;
        }
      });
    }
  }
  wire("[data-passkey-login]", logIn);
  wire("[data-passkey-new]", register);
})();
