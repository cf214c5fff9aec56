//! The pipeline, without servers around it, on a real replica set.

mod commands;
mod coordinator;
mod count;
mod errors;
mod fence;
mod inserted_ids;
mod isolation;
mod memory;
mod once;
mod options;
mod reads;
mod schema;
mod types;
mod unordered;
mod unstoppable;
mod waiting;
