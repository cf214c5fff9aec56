export * from "./bellwether-web-client/index.js";
