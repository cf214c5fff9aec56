//! The npm package of the browser client, as somebody else gets it: packed, installed, and used in a page without a
//! build, in a Vite app and in a TypeScript program.

mod apps;
mod contents;
mod project;
mod types;
