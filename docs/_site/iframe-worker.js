// The theme searches in a worker, which browsers refuse to a page that was opened from a file.
// There, a hidden frame runs the same script, and hands over the same messages.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inside = frame.contentWindow;
      const script = frame.contentDocument.createElement("script");
      script.src = url;
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.loaded = new Promise((resolve) => script.addEventListener("load", () => resolve(inside)));
      frame.contentDocument.body.append(script);
    }

    async postMessage(data) {
      const inside = await this.loaded;
      inside.dispatchEvent(new MessageEvent("message", { data }));
    }
  };
}
