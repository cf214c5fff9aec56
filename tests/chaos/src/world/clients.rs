use std::thread::JoinHandle;

use anyhow::Result;

use crate::fault::Node;
use crate::network::{NetworkHost, run_on};

/// A host where clients run.
#[derive(Clone, Debug)]
pub struct ClientsHost {
    node: Node,
    host: Option<NetworkHost>,
}

impl ClientsHost {
    pub(super) fn new(node: Node, host: Option<NetworkHost>) -> Self {
        Self { node, host }
    }

    /// Returns the node of this host.
    pub fn node(&self) -> Node {
        self.node
    }

    /// Runs something on this host, on a thread of its own, which has a runtime of its own. The
    /// thread itself makes the future, so the future need not be `Send`, and may spawn local tasks.
    pub fn run<T, F>(&self, work: impl FnOnce() -> F + Send + 'static) -> JoinHandle<Result<T>>
    where
        T: Send + 'static,
        F: Future<Output = T>,
    {
        run_on(self.host.clone(), work)
    }
}
