//! The npm package of the browser client, as somebody else gets it: packed, installed, and used in
//! a page without a build, in a Vite app, in a TypeScript program, and in the runtimes that are no
//! browsers.

mod apps;
mod contents;
mod project;
mod runtimes;
mod types;
