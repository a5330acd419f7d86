"use strict";
// Runs before the graph viewer, which is written for a page of its own. Here it stands in a frame without
// an origin: it has no cookies, and may make a worker only of a script that it holds itself. Such a worker
// loads the viewer's script as a module, and keeps what it is sent until that listens.
(() => {
  Object.defineProperty(document, "cookie", { get: () => "consent=none", set: () => {} });
  const starter = (address) => `
    const waiting = [];
    const keep = (event) => waiting.push(event.data);
    self.addEventListener("message", keep);
    import(${JSON.stringify(address)}).then(() => setTimeout(() => {
      self.removeEventListener("message", keep);
      waiting.forEach((data) => self.dispatchEvent(new MessageEvent("message", { data })));
    }));`;
  const Native = window.Worker;
  window.Worker = class extends Native {
    constructor(address) {
      const script = starter(new URL(address, location.href).href);
      super(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
    }
  };
})();
