export * from "bellwether-web-client";
