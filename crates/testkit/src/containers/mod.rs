//! The cluster of `docker/compose.yaml`, in containers.

mod compose;
mod docker;
mod health;
mod networks;
mod past_servers;

pub use compose::Compose;
pub use docker::{docker, docker_logs};
