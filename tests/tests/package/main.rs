//! The npm package of the browser client, as a user gets it: packed and installed. It is used in a
//! page without a build, in a Vite app, in a TypeScript program, and in runtimes other than
//! browsers.

mod apps;
mod contents;
mod project;
mod runtimes;
mod types;
