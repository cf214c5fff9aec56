//! The pipeline, without servers around it, on a real replica set.

mod commands;
mod coordinator;
mod fence;
mod memory;
mod once;
mod reads;
mod types;
mod waiting;
